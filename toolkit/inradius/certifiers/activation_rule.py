"""Rules for elementwise functions whose turning points are known: lines below and above them.

A line of slope s lies below f on [ℓ, u] where its offset is at most the minimum of f(z) − s z. It lies above where its offset
is at least the maximum. Both extremes are attained at ℓ, at u, at a kink of f or where f′(z) = s. A rule names these points,
and then every slope gives a sound line. The first slope is that of the chord, for both sides, which keeps the dual network
linear.
"""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from inradius.certifiers.layer_rule import LayerRule, Line, Operator, Relaxation


class ActivationRule(LayerRule):
    """A rule for z -> f(z), applied to each number by itself. A subclass names the turning points and the slope of f."""

    @abstractmethod
    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        """Points among which are all extremes of f(z) − slope · z inside an interval, each like ``slope``; NaN for no point."""

    @abstractmethod
    def slope(self, op: Operator, z: Tensor) -> Tensor:
        """f′(z), (B, *in). At a kink it is any slope between those of the two sides."""

    def valid(self, op: Operator, lower: Tensor) -> Tensor | None:
        """A mask of the intervals on which f is defined, from their lower ends, (B, *in); None where f is defined everywhere."""
        return None

    def known(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        valid = self.valid(op, lower)
        return super().known(op, lower, upper) if valid is None else valid

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self._extremes(op, torch.zeros_like(lower), lower, upper)
        return low, high

    def undecided(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        return ~(upper <= lower)

    def relax(self, op: Operator, lower: Tensor, upper: Tensor) -> Relaxation:
        return self.with_slope(op, self._chord(op, lower, upper, self._tangents(op, lower, upper)[0]), lower, upper)

    def with_slope(self, op: Operator, slope: Tensor, lower: Tensor, upper: Tensor) -> Relaxation:
        low, high = self._extremes(op, slope, lower, upper)
        return Relaxation(lower_slope=slope, lower_offset=low, upper_slope=slope, upper_offset=high)

    def from_lines(self, floor: Sequence[Line], ceiling: Sequence[Line]) -> Relaxation:
        # the first lines have the slope of the chord
        (slope, low), (other, high) = floor[0], ceiling[0]
        return Relaxation(lower_slope=slope, lower_offset=low, upper_slope=other, upper_offset=high)

    def lines(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[list[Line], list[Line]]:
        tangents = self._tangents(op, lower, upper)
        slopes = [self._chord(op, lower, upper, tangents[0]), *tangents]
        ends = self._ends(op, slopes, lower, upper)
        below = [(slope, low) for slope, (low, _) in zip(slopes, ends, strict=True)]
        above = [(slope, high) for slope, (_, high) in zip(slopes, ends, strict=True)]
        return below, above

    def _tangents(self, op: Operator, lower: Tensor, upper: Tensor) -> list[Tensor]:
        valid = self.valid(op, lower)
        found = self.slope(op, (lower + upper) / 2)
        return [found if valid is None else torch.where(valid, found, torch.zeros_like(found))]

    def _chord(self, op: Operator, lower: Tensor, upper: Tensor, flat: Tensor) -> Tensor:
        """The slope of the chord, and ``flat`` where an interval is too narrow for one, (B, *in)."""
        width = upper - lower
        # the ends of an interval as narrow as a few rounding errors do not determine a slope
        wide = width > 1e3 * torch.finfo(width.dtype).eps * (1 + lower.abs() + upper.abs())
        valid = self.valid(op, lower)
        wide = wide if valid is None else wide & valid
        start, end = (torch.where(wide, side, torch.ones_like(side)) for side in (lower, upper))
        chord = (op(end) - op(start)) / torch.where(wide, width, torch.ones_like(width))
        return torch.where(wide, chord, flat)

    def _ends(
        self, op: Operator, slopes: Sequence[Tensor], lower: Tensor, upper: Tensor
    ) -> Sequence[tuple[Tensor, Tensor]]:
        """The pairs of ``_extremes`` for several slopes."""
        return [self._extremes(op, slope, lower, upper) for slope in slopes]

    def _extremes(self, op: Operator, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """The minimum and the maximum of f(z) − slope · z over [lower, upper], two of (B, *in), rounded outwards."""
        valid = self.valid(op, lower)
        if valid is not None:
            lower = torch.where(valid, lower, torch.ones_like(lower))
            upper = torch.where(valid, upper, torch.ones_like(upper))
        # at an extreme inside the interval the value does not change with the place to first order
        with torch.no_grad():
            turns = [turn.nan_to_num(nan=0.0) for turn in self.turns(op, slope)]
        inside = (torch.minimum(torch.maximum(turn, lower), upper) for turn in turns)
        values = [op(z) - slope * z for z in (lower, upper, *inside)]
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
        """An amount by which f(z) − s z may pass its values at the ends and the turns; 0 where the turns are complete."""
        return torch.zeros((), dtype=lower.dtype, device=lower.device)
