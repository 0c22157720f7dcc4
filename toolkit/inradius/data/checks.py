"""Inputs and labels, checked before they are used."""

import torch
from torch import Tensor

from inradius.errors import InputError


def check_images(x: object) -> None:
    """Raises ``InputError`` where inputs are not a batch of floating-point numbers, (B, *S)."""
    if not isinstance(x, Tensor):
        raise InputError(
            f"the inputs are a {type(x).__name__}; allowed is a floating-point tensor, (examples, *shape of one)"
        )
    if not x.is_floating_point():
        raise InputError(f"the inputs are {x.dtype}; allowed are floating-point images")
    if x.ndim < 2:
        raise InputError(f"the inputs have shape {tuple(x.shape)}; allowed is a batch, (examples, *shape of one)")


def check_labels(x: Tensor, y: Tensor, name: str = "labels") -> Tensor:
    """The labels (or goals, as ``name`` says) as int64, (B,); raises ``InputError`` where inputs and labels do not go together."""
    check_images(x)
    if not isinstance(y, Tensor):
        raise InputError(
            f"the {name} are a {type(y).__name__}; allowed is a tensor of one integer per input, ({len(x)},)"
        )
    if y.shape != x.shape[:1] or y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise InputError(
            f"the {name} have shape {tuple(y.shape)} and type {y.dtype}; allowed is one integer per input, ({len(x)},)"
        )
    numbers = y.to(torch.int64)
    if len(numbers) and int(numbers.min()) < 0:
        raise InputError(f"{name[:-1]} {int(numbers.min())} is out of range; classes count from 0")
    return numbers
