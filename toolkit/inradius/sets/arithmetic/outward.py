"""Rounding to the safe side, to numbers that no kernel takes for 0."""

import math

import torch
from torch import Tensor

from inradius.sets.arithmetic.bits import stored


def smallest(dtype: torch.dtype) -> float:
    """The smallest number that no kernel takes for 0; those of float16 are all normal in float32."""
    info = torch.finfo(dtype)
    return info.smallest_normal * info.eps if dtype == torch.float16 else info.smallest_normal


def above(number: float, dtype: torch.dtype) -> float:
    """The least number of float32 or float64 not below ``number`` that no kernel takes for 0; infinite beyond their range."""
    if math.isinf(number):
        return max(number, torch.finfo(dtype).min)
    # the parts of the number, as a machine that flushes may take the whole for 0
    share, exponent = math.frexp(number)
    info, digits = torch.finfo(dtype), 2 - math.frexp(torch.finfo(dtype).eps)[1]
    if exponent > math.frexp(info.max)[1]:
        return math.inf if share > 0 else info.min
    if share and exponent < math.frexp(info.smallest_normal)[1]:
        return info.smallest_normal if share > 0 else 0.0
    found = math.ldexp(math.ceil(math.ldexp(share, digits)), exponent - digits)
    return found if found <= info.max else math.inf


def below(number: float, dtype: torch.dtype) -> float:
    """The largest number of float32 or float64 not above ``number`` that no kernel takes for 0."""
    return -above(-number, dtype)


def raised_product(values: Tensor, factor: float | Tensor) -> Tensor:
    """values · factor for numbers ≥ 0, exact or rounded up, in values' type: 0 only where it is."""
    few = smallest(values.dtype)
    if isinstance(factor, float):
        factor = torch.full((), above(factor, values.dtype), dtype=values.dtype, device=values.device)
    found = values.clamp(min=few) * factor.clamp(min=few)
    further = torch.nextafter(found, torch.full_like(found, torch.inf))
    found = torch.where((factor == 1) | (values == 1), found, further)
    return torch.where(stored(values) & stored(factor), found.clamp(min=few), 0)


def raised_sum(a: Tensor, b: Tensor) -> Tensor:
    """a + b, exact or rounded up, with the gradient of the sum.

    The rounding error of a sum is a number of the same type (Knuth's two-sum), unless a term is so small that it may underflow.
    """
    found = (a + b).clamp(min=torch.finfo(a.dtype).min)
    with torch.no_grad():
        part = found - a
        error = (a - (found - part)) + (b - part)
        further = torch.nextafter(found, torch.full_like(found, torch.inf))
        unsure = (_within(a, 1) | _within(b, 1)) | (_within(a, 2**60) & stored(b)) | (_within(b, 2**60) & stored(a))
        further = torch.where(unsure, torch.maximum(further, found + 2 * smallest(a.dtype)), further)
        step = torch.where((error <= 0) & ~unsure, 0, further - found)
    return found + step.nan_to_num(nan=0.0)


def _within(values: Tensor, times: int) -> Tensor:
    """True where numbers are not 0 and below so many times the smallest one."""
    return stored(values) & (values.abs() < times * smallest(values.dtype))
