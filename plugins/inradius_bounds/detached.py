"""Tensors without gradients."""

from torch import Tensor


def detached(tensor: Tensor) -> Tensor:
    """The tensor without gradients: the same object where it has none, as torch takes long to make another."""
    return tensor.detach() if tensor.requires_grad else tensor
