"""Half precision is computed in single precision, and what is computed is rounded back to the safe side."""

import torch
from torch import Tensor

from inradius.sets.arithmetic.outward import smallest

_HALF = (torch.float16, torch.bfloat16)


def working(dtype: torch.dtype) -> torch.dtype:
    """The type that oracles compute in."""
    return torch.float32 if dtype in _HALF else dtype


def toward_zero(points: Tensor, dtype: torch.dtype) -> Tensor:
    """The points in ``dtype``, each coordinate no larger than it was: a ball ∩ box around 0 still holds them."""
    if dtype not in _HALF:
        return points.to(dtype)
    near = points.to(dtype)
    return torch.where(near.abs() > points.abs(), torch.nextafter(near, torch.zeros_like(near)), near)


def upward(values: Tensor, dtype: torch.dtype) -> Tensor:
    """The values in ``dtype``, none smaller than it was, and none above 0 so small that a kernel takes it for 0."""
    near = values.to(dtype)
    if torch.promote_types(values.dtype, dtype) == dtype:
        return near
    further = torch.nextafter(near, torch.full_like(near, torch.inf))
    further = torch.where(values > 0, further.clamp(min=smallest(dtype)), further)
    return torch.where(near < values, further, near)
