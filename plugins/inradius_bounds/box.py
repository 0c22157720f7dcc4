"""Boxes: bounds of each number of a value."""

from torch import Tensor

# the lower and the upper bounds, each of shape (B, *shape)
Box = tuple[Tensor, Tensor]
