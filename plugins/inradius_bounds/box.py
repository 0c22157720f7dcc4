"""Boxes: bounds of each number of a value."""

from torch import Tensor

# (lower, upper), each (B, *shape)
Box = tuple[Tensor, Tensor]
