"""The rule of ReLU, max(z, 0): the place where a bound crosses a ReLU."""

from collections.abc import Sequence

import torch
from torch import Tensor

from inradius import LayerRule, Operator, Relaxation
from inradius.certifiers.layer_rule import Line


class ReLURule(LayerRule):
    """The convex hull of the graph of z = max(ẑ, 0) over [ℓ, u]: z ≥ 0, z ≥ ẑ and z ≤ u (ẑ − ℓ) / (u − ℓ).

    ``relax`` takes both slopes to be α = u / (u − ℓ), which keeps the dual network linear. Source: wong2018.
    """

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        return lower.relu(), upper.relu()

    def ulps(self, op: Operator) -> float:
        return 0

    def undecided(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        # a limit that is not a number decides nothing
        return ~((lower >= 0) | (upper <= 0))

    def relax(self, op: Operator, lower: Tensor, upper: Tensor) -> Relaxation:
        crossing = self.undecided(op, lower, upper)
        # the unused width of a decided neuron is one, so that no gradient divides by zero
        width = torch.where(crossing, upper - lower, torch.ones_like(upper))
        slope = torch.where(crossing, upper / width, (lower >= 0).to(upper.dtype))
        return self.with_slope(op, slope, lower, upper)

    def with_slope(self, op: Operator, slope: Tensor, lower: Tensor, upper: Tensor) -> Relaxation:
        # where the quotient overflows, any slope is sound
        slope = torch.where(slope.isfinite(), slope, 0.0).clamp(0, 1)
        crossing = self.undecided(op, lower, upper)
        info = torch.finfo(upper.dtype)
        # the line above has this slope, and is rounded up at both ends
        least = torch.maximum(-slope * lower, (1 - slope) * upper)
        offset = torch.where(crossing, least * (1 + 4 * info.eps) + info.smallest_normal, torch.zeros_like(lower))
        slope = torch.where(crossing, slope, (lower >= 0).to(upper.dtype))
        return Relaxation(
            lower_slope=slope,
            lower_offset=torch.zeros_like(offset),
            upper_slope=slope,
            upper_offset=offset,
            from_origin=True,
        )

    def from_lines(self, floor: Sequence[Line], ceiling: Sequence[Line]) -> Relaxation:
        (slope, offset), (_, zero) = ceiling[0], floor[0]
        return Relaxation(
            lower_slope=slope, lower_offset=zero, upper_slope=slope, upper_offset=offset, from_origin=True
        )

    def lines(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[list[Line], list[Line]]:
        relaxed = self.relax(op, lower, upper)
        crossing = self.undecided(op, lower, upper)
        zero = torch.zeros_like(lower)
        # the lines below a decided neuron are its own line, and else z ≥ 0 and z ≥ ẑ
        flat = torch.where(crossing, zero, relaxed.lower_slope)
        steep = torch.where(crossing, torch.ones_like(lower), relaxed.lower_slope)
        return [(flat, zero), (steep, zero)], [(relaxed.upper_slope, relaxed.upper_offset)]
