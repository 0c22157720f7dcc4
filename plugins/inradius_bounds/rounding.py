"""What floating-point arithmetic may do to sums of products (Higham 2002, section 3.1), and underflow to each product."""

import math

import attrs
import torch
from torch import Tensor

# numbers that bound errors are rounded themselves
ROOM = 1.01


def unit(dtype: torch.dtype) -> float:
    """The unit roundoff u: a correctly rounded number is off by at most u times its size."""
    return float(torch.finfo(dtype).eps) / 2


def tiny(dtype: torch.dtype) -> float:
    """What one operation may lose to underflow: the smallest normal number, as a machine may flush what is below it."""
    return float(torch.finfo(dtype).smallest_normal)


def gamma(terms: int, dtype: torch.dtype) -> float:
    """How far n roundings may move a number, relative to the sum of the sizes as it was computed; infinite from n u = 1/2 on.

    The sum of the sizes is rounded alike, so that this is n u / (1 − n u)².
    """
    share = terms * unit(dtype)
    return ROOM * share / (1 - share) ** 2 if share < 0.5 else math.inf


def gammas(terms: Tensor, dtype: torch.dtype) -> Tensor:
    """The same for each number of roundings, in float64."""
    share = terms.double() * unit(dtype)
    found = ROOM * share / (1 - share) ** 2
    return torch.where(share < 0.5, found, math.inf)


@attrs.frozen
class Rounding:
    """How bounds are computed, and for which executions they hold.

    dtype: the type that bounds are computed in; execution: the type that the model runs in, for bounds of each of its
    floating-point executions, or None for bounds of its exact function.
    """

    dtype: torch.dtype
    execution: torch.dtype | None = None
