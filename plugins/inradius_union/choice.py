"""The best of several points, example by example."""

from collections.abc import Sequence

import torch
from torch import Tensor

from inradius.sets.arithmetic.precision import working
from inradius.sets.arithmetic.sums import length_within_unit, peak, total
from inradius.sets.examples import expand

# Values this close are a tie, which the earlier point wins: rounding differs with the batch, and must not decide.
_TIE = 64


def smallest(values: Sequence[Tensor]) -> Tensor:
    """The number of the smallest value, the first of those that tie, K of (B,) -> (B,)."""
    best = values[0].clone()
    which = torch.zeros_like(best, dtype=torch.int64)
    for place, value in enumerate(values[1:], start=1):
        margin = _TIE * torch.finfo(best.dtype).eps * best.abs().nan_to_num(posinf=0.0)
        better = value < best - margin
        best = torch.where(better, value, best)
        which = torch.where(better, place, which)
    return which


def largest(values: Sequence[Tensor]) -> Tensor:
    """The number of the largest value, the first of those that tie, K of (B,) -> (B,)."""
    return smallest([-value for value in values])


def chosen(points: Sequence[Tensor], which: Tensor) -> Tensor:
    """The point of each example's choice, K of (B, *S), (B,) -> (B, *S)."""
    picked = points[0]
    for place, point in enumerate(points[1:], start=1):
        picked = torch.where(expand(which == place, point), point, picked)
    return picked


def distance(a: Tensor, b: Tensor) -> Tensor:
    """‖a − b‖₂ of each example, (B, *S) -> (B,)."""
    apart = a.to(working(a.dtype)).flatten(1) - b.to(working(a.dtype)).flatten(1)
    top = peak(apart)
    return (length_within_unit(apart / top) * top).squeeze(-1)


def pairing(c: Tensor, delta: Tensor) -> Tensor:
    """⟨c, δ⟩ of each example, (B, *S) -> (B,)."""
    return total((c.to(working(c.dtype)) * delta).flatten(1))
