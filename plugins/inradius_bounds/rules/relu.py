"""ReLU: max(z, 0)."""

import torch
from torch import Tensor

from inradius import LayerRule, Operator, Relaxation
from inradius.layers import Line


class ReLURule(LayerRule):
    """The convex hull of the graph of max(z, 0) over [ℓ, u]: z ≥ 0, z ≥ ẑ and z ≤ u (ẑ − ℓ) / (u − ℓ).

    ``relax`` takes both slopes to be α = u / (u − ℓ), which keeps the dual network linear. Source: wong2018.
    """

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        return lower.relu(), upper.relu()

    def undecided(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        return (lower < 0) & (upper > 0)

    def relax(self, op: Operator, lower: Tensor, upper: Tensor) -> Relaxation:
        crossing = self.undecided(op, lower, upper)
        # the width is one where it is not used, so that no gradient divides by zero
        width = torch.where(crossing, upper - lower, torch.ones_like(upper))
        slope = torch.where(crossing, upper / width, (lower >= 0).to(upper.dtype))
        offset = torch.where(crossing, -slope * lower, torch.zeros_like(lower))
        return Relaxation(
            lower_slope=slope,
            lower_offset=torch.zeros_like(offset),
            upper_slope=slope,
            upper_offset=offset,
            from_origin=True,
        )

    def lines(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[list[Line], list[Line]]:
        relaxed = self.relax(op, lower, upper)
        crossing = self.undecided(op, lower, upper)
        zero = torch.zeros_like(lower)
        # below: the line of a decided neuron, else z ≥ 0 and z ≥ ẑ
        flat = torch.where(crossing, zero, relaxed.lower_slope)
        steep = torch.where(crossing, torch.ones_like(lower), relaxed.lower_slope)
        return [(flat, zero), (steep, zero)], [(relaxed.upper_slope, relaxed.upper_offset)]
