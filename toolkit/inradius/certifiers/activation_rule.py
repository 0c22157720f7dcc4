"""Elementwise curves: lines below and above any function whose turning points are known.

A line of slope s lies below f on [ℓ, u] where its offset is at most min f(z) − s z, and above where it is at least the
maximum. Both are attained at ℓ, at u, at a kink of f or where f′(z) = s: a rule names these points, and every slope gives
a sound line. The first slope is that of the chord, for both sides, which keeps the dual network linear.
"""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from inradius.certifiers.layer_rule import LayerRule, Line, Operator, Relaxation


class ActivationRule(LayerRule):
    """z -> f(z), each number by itself. A subclass names f's turning points and its slope."""

    @abstractmethod
    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        """Points that hold every extremum of f(z) − slope · z inside of an interval, NaN for none; each like ``slope``."""

    @abstractmethod
    def slope(self, op: Operator, z: Tensor) -> Tensor:
        """f′(z), (B, *in); at a kink any of its slopes."""

    def valid(self, op: Operator, lower: Tensor) -> Tensor | None:
        """Where f is known, given the lower ends; None for everywhere."""
        return None

    def known(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        valid = self.valid(op, lower)
        return super().known(op, lower, upper) if valid is None else valid

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self._extremes(op, torch.zeros_like(lower), lower, upper)
        return low, high

    def undecided(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        return upper > lower

    def relax(self, op: Operator, lower: Tensor, upper: Tensor) -> Relaxation:
        return self.with_slope(op, self._chord(op, lower, upper), lower, upper)

    def with_slope(self, op: Operator, slope: Tensor, lower: Tensor, upper: Tensor) -> Relaxation:
        low, high = self._extremes(op, slope, lower, upper)
        return Relaxation(lower_slope=slope, lower_offset=low, upper_slope=slope, upper_offset=high)

    def lines(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[list[Line], list[Line]]:
        slopes = [self._chord(op, lower, upper), *self._tangents(op, lower, upper)]
        ends = [self._extremes(op, slope, lower, upper) for slope in slopes]
        below = [(slope, low) for slope, (low, _) in zip(slopes, ends, strict=True)]
        above = [(slope, high) for slope, (_, high) in zip(slopes, ends, strict=True)]
        return below, above

    def _tangents(self, op: Operator, lower: Tensor, upper: Tensor) -> list[Tensor]:
        valid = self.valid(op, lower)
        found = self.slope(op, (lower + upper) / 2)
        return [found if valid is None else torch.where(valid, found, torch.zeros_like(found))]

    def _chord(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        width = upper - lower
        # an interval of a few rounding errors has no slope that could be computed from its ends
        wide = width > 1e3 * torch.finfo(width.dtype).eps * (1 + lower.abs() + upper.abs())
        valid = self.valid(op, lower)
        wide = wide if valid is None else wide & valid
        start, end = (torch.where(wide, side, torch.ones_like(side)) for side in (lower, upper))
        chord = (op(end) - op(start)) / torch.where(wide, width, torch.ones_like(width))
        flat = self._tangents(op, lower, upper)[0]
        return torch.where(wide, chord, flat)

    def _extremes(self, op: Operator, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """The least and the largest f(z) − slope · z over [lower, upper], rounded outwards."""
        valid = self.valid(op, lower)
        if valid is not None:
            lower = torch.where(valid, lower, torch.ones_like(lower))
            upper = torch.where(valid, upper, torch.ones_like(upper))
        turns = (torch.minimum(torch.maximum(turn.nan_to_num(nan=0.0), lower), upper) for turn in self.turns(op, slope))
        values = [op(z) - slope * z for z in (lower, upper, *turns)]
        low, high = values[0], values[0]
        for value in values[1:]:
            low, high = torch.minimum(low, value), torch.maximum(high, value)
        size = torch.maximum(lower.abs(), upper.abs())
        info = torch.finfo(low.dtype)
        slack = 8 * info.eps * (low.abs() + high.abs() + slope.abs() * size) + 8 * info.smallest_normal
        gap = self.gap(op, lower, upper)
        low, high = low - slack - gap, high + slack + gap
        if valid is None:
            return low, high
        nothing = torch.finfo(low.dtype).max / 4
        return torch.where(valid, low, -nothing), torch.where(valid, high, nothing)

    def gap(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        """How far f(z) − s z may pass its values at the ends and the turns; 0 where the turns are all there are."""
        return torch.zeros((), dtype=lower.dtype, device=lower.device)
