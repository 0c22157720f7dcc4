"""Functions shaped like an S: convex below 0, concave above 0, and the same under a half turn around their value at 0."""

import torch
from torch import Tensor

from inradius import ActivationRule, Operator
from inradius.certifiers.layer_rule import Line

# the slope of the line below converges quadratically; after these steps it is right to a few digits, and any slope is sound
_STEPS = 3


class SShapedRule(ActivationRule):
    """A rule whose ``turns`` are a place ≥ 0 and its negative.

    Over an interval around 0 the hull of the graph has two tangents that meet the graph again at an end of the interval: that
    below touches at t ≤ 0 and ends at u, that above touches at t ≥ 0 and ends at ℓ. These are among the lines.
    """

    def lines(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[list[Line], list[Line]]:
        (chord, *middle), (top, *others) = super().lines(op, lower, upper)
        mixed = (lower < 0) & (upper > 0)
        if not bool(mixed.any()):
            return [chord, *middle], [top, *others]
        below, above = (
            torch.where(mixed, self._touching(op, start, end), chord[0])
            for start, end in ((lower, upper), (upper, lower))
        )
        floor, ceiling = self._extremes(op, below, lower, upper)[0], self._extremes(op, above, lower, upper)[1]
        return [chord, (below, floor), *middle], [top, (above, ceiling), *others]

    @torch.no_grad()
    def _touching(self, op: Operator, start: Tensor, end: Tensor) -> Tensor:
        """The slope of the tangent that touches on the side of ``start`` and meets the graph at ``end``, or of the chord."""
        info = torch.finfo(end.dtype)
        side, far = torch.where(start < 0, -1.0, 1.0).to(end.dtype), op(end)
        touch, found = torch.zeros_like(end), torch.zeros_like(end)
        for _ in range(_STEPS):
            width = (end - touch).abs().clamp(min=info.smallest_normal)
            found = (far - op(touch)).abs() / width
            place = self.turns(op, found)[0].nan_to_num(nan=0.0).abs()
            # no further than the interval goes
            touch = side * torch.minimum(place, start.abs())
        return (far - op(touch)).abs() / (end - touch).abs().clamp(min=info.smallest_normal)
