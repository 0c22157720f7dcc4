"""Euclidean lengths in one sweep over the numbers."""

import math

import torch
from torch import Tensor

from inradius.sets.arithmetic.sums import peak

# So many squares are added one after the other at most, so that rounding stays small for large inputs too.
_RUN = 1024


def sane(dtype: torch.dtype) -> tuple[float, float]:
    """The range (smallest, largest) of lengths that a plain sum of squares computes accurately, without overflow or underflow."""
    info = torch.finfo(dtype)
    return math.sqrt(info.tiny) / info.eps, math.sqrt(info.max) * info.eps


def norm(z: Tensor) -> Tensor:
    """‖z‖₂ where squares neither overflow nor underflow, (..., n) -> (..., 1)."""
    size = z.shape[-1]
    whole = size - size % _RUN
    if not whole:
        return _sweep(z)
    runs = _sweep(z[..., :whole].reshape(*z.shape[:-1], whole // _RUN, _RUN)).squeeze(-1)
    return _sweep(torch.cat((runs, _sweep(z[..., whole:])), -1))


def _sweep(z: Tensor) -> Tensor:
    found: Tensor = torch.linalg.vector_norm(z, dim=-1, keepdim=True)
    return found


def length(z: Tensor) -> Tensor:
    """‖z‖₂ of numbers of any size, (..., n) -> (..., 1)."""
    plain = norm(z)
    if between(plain, *sane(z.dtype)):
        return plain
    smallest, largest = sane(z.dtype)
    scale = peak(z)
    return torch.where((plain > smallest) & (plain < largest), plain, norm(z / scale) * scale)


def between(values: Tensor, smallest: float, largest: float) -> bool:
    """True if all values lie strictly between two numbers, and where there are no values."""
    if not values.numel():
        return True
    low, high = values.aminmax()
    return smallest < float(low) and float(high) < largest
