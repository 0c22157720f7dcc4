"""Bounds on the errors of floating-point arithmetic: of sums of products, and of products that underflow.

Source: Higham 2002, section 3.1.
"""

import math
from functools import cache

import attrs
import torch
from torch import Tensor

# error bounds are rounded themselves; this factor covers it
ROOM = 1.01


@cache
def unit(dtype: torch.dtype) -> float:
    """The unit roundoff u. A correctly rounded number is off by at most u times its size."""
    return float(torch.finfo(dtype).eps) / 2


@cache
def tiny(dtype: torch.dtype) -> float:
    """The most that one operation loses to underflow: the smallest normal number, as a machine may flush smaller ones to 0."""
    return float(torch.finfo(dtype).smallest_normal)


def gamma(terms: int, dtype: torch.dtype) -> float:
    """The largest relative error of n roundings, as a share of the sum of the computed sizes; infinite from n u = 1/2 on.

    The sum of the sizes is rounded as well, so the share is n u / (1 − n u)².
    """
    share = terms * unit(dtype)
    return ROOM * share / (1 - share) ** 2 if share < 0.5 else math.inf


def gammas(terms: Tensor, dtype: torch.dtype) -> Tensor:
    """The error ``gamma`` for each number of roundings, in float64, of the shape of ``terms``."""
    share = terms.double() * unit(dtype)
    found = ROOM * share / (1 - share) ** 2
    return torch.where(share < 0.5, found, math.inf)


@attrs.frozen
class Rounding:
    """The arithmetic in which bounds are computed, and the executions for which they hold.

    dtype: the type that bounds are computed in. execution: the type that the model runs in, for bounds of each of its
    floating-point executions; None for bounds of its exact function.
    """

    dtype: torch.dtype
    execution: torch.dtype | None = None
