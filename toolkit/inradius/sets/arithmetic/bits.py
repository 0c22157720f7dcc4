"""Numbers as their bits: what is stored, also where the machine takes subnormal numbers for 0."""

import math

import torch
from torch import Tensor

_WHOLE = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def stored(values: Tensor) -> Tensor:
    """True where numbers are not 0, of values' shape; where subnormal numbers are flushed, comparisons deny it of them."""
    return _bits(values) != 0


def power(rows: Tensor) -> Tensor:
    """The largest power of two not above the largest |number| of a row, at least the smallest normal one, (..., n) -> (..., 1).

    Quotients by it are exact unless they underflow, and below 2.
    """
    info = torch.finfo(rows.dtype)
    mantissa, exponents = 1 - math.frexp(info.eps)[1], 2 * math.frexp(info.max)[1]
    largest = _bits(rows).amax(-1, keepdim=True) >> mantissa
    return (largest.clamp_(1, exponents - 2) << mantissa).view(rows.dtype)


def widened(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Values in a type that holds them, also subnormal ones where a conversion takes them for 0."""
    found = values.to(dtype)
    if (values.dtype, dtype) != (torch.float32, torch.float64):
        return found
    bits, info = _bits(values), torch.finfo(torch.float32)
    # a subnormal number counts units of the smallest one
    tiny = bits.to(dtype) * (info.smallest_normal * info.eps)
    return torch.where(bits < 1 << 23, torch.where(values.signbit(), -tiny, tiny), found)


def _bits(values: Tensor) -> Tensor:
    return values.detach().abs().view(_WHOLE[values.element_size()])
