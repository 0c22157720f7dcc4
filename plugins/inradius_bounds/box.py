"""Boxes: bounds of each number of a value."""

import torch
from torch import Tensor

# the lower and the upper bounds, each of shape (B, *shape)
Box = tuple[Tensor, Tensor]


def fastest(side: Tensor) -> Tensor:
    """Images with channels last, which is the fastest layout for convolutions; one image, or any other value, unchanged."""
    return side.contiguous(memory_format=torch.channels_last) if side.ndim == 4 and len(side) > 1 else side
