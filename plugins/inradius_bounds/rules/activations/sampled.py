"""Smooth functions without formulas for their turning points, bounded on a grid: GELU and SiLU."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from inradius import ActivationRule, Operator

# the distance of a stated minimum from the true one
_FAR = 1e-3


class SampledRule(ActivationRule):
    """A smooth function without formulas for its turning points, on a grid. The grid misses at most curvature · step² / 8."""

    curvature: float
    # max(z, 0) − below ≤ f(z) ≤ max(z, 0)
    below = 0.28
    points = 65
    # the place of the only minimum, up to _FAR, below which f falls and above which it rises; None for other functions
    valley: float | None = None

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        if self.valley is None:
            return super().interval(op, lower, upper)
        place = torch.full_like(lower, self.valley).clamp(lower, upper)
        low, high = op(place), torch.maximum(op(lower), op(upper))
        slack = 8 * torch.finfo(low.dtype).eps * (1 + low.abs() + high.abs())
        return low - slack - self.curvature * _FAR**2 / 2, high + slack

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return []

    def _extremes(self, op: Operator, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        share = torch.linspace(0, 1, self.points, dtype=lower.dtype, device=lower.device)
        share = share.view(-1, *(1,) * lower.ndim)
        grid = torch.minimum(lower + (upper - lower) * share, upper)
        # several slopes have an axis in front
        axis = -1 - lower.ndim
        values = op(grid.flatten(0, 1)).view(grid.shape) - slope.unsqueeze(axis) * grid
        low, high = values.amin(axis), values.amax(axis)
        size = torch.maximum(lower.abs(), upper.abs())
        slack = 8 * torch.finfo(low.dtype).eps * (1 + low.abs() + high.abs() + slope.abs() * size)
        # two points of the grid lie as far apart as the step and the rounding of each
        step = (upper - lower) / (self.points - 1) + 4 * torch.finfo(low.dtype).eps * size
        missed = self.curvature * step.square() / 8
        return self._within(op, slope, lower, upper, low - slack - missed, high + slack + missed)

    def _ends(
        self, op: Operator, slopes: Sequence[Tensor], lower: Tensor, upper: Tensor
    ) -> Sequence[tuple[Tensor, Tensor]]:
        low, high = self._extremes(op, torch.stack(list(slopes)), lower, upper)
        return list(zip(low, high, strict=True))

    def _within(
        self, op: Operator, slope: Tensor, lower: Tensor, upper: Tensor, low: Tensor, high: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The extremes, tightened by max(z, 0) − below ≤ f(z) ≤ max(z, 0). GELU needs 0.2 and SiLU 0.28."""
        ends = torch.stack([lower.relu() - slope * lower, upper.relu() - slope * upper])
        zero = torch.zeros_like(lower)
        inside = torch.where((lower < 0) & (upper > 0), zero, ends[0])
        least = torch.minimum(ends.amin(0), inside) - self.below
        most = torch.maximum(ends.amax(0), inside)
        size = slope.abs() * torch.maximum(lower.abs(), upper.abs())
        slack = 8 * torch.finfo(low.dtype).eps * (least.abs() + most.abs() + size)
        return torch.maximum(low, least - slack), torch.minimum(high, most + slack)


class GELURule(SampledRule):
    """z Φ(z), exact or by tanh. |f″| ≤ 0.8; the rule uses 1."""

    curvature = 1.0
    # -0.75246 for the form with tanh
    valley = -0.75179

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        # f′ = Φ + z φ; the form with tanh differs by less than 1e-2, and a line may have any slope
        density = (-z.square() / 2).exp() / math.sqrt(2 * math.pi)
        share: Tensor = torch.special.ndtr(z)
        return share + z * density


class SiLURule(SampledRule):
    """z σ(z). |f″| ≤ 0.5; the rule uses 0.51."""

    curvature = 0.51
    valley = -1.27846

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return z.sigmoid() * (1 + z * (-z).sigmoid())
