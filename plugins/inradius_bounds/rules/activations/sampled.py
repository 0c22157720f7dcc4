"""Smooth functions without formulas for their turning points, bounded on a grid: GELU and SiLU."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from inradius import ActivationRule, Operator, Relaxation
from inradius.certifiers.layer_rule import Line

# the distance of a stated minimum from the true one
_FAR = 1e-3
# the widest interval on which the least f″ is close enough to any other
_NARROW = 0.5


class SampledRule(ActivationRule):
    """A smooth function without formulas for its turning points, on a grid. The grid misses at most curvature · step² / 8."""

    curvature: float
    # max(z, 0) − below ≤ f(z) ≤ max(z, 0)
    below = 0.28
    points = 65
    # the place of the only minimum, up to _FAR, below which f falls and above which it rises; None for other functions
    valley: float | None = None
    # f is convex within this distance from 0
    bowl = 0.0

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        if self.valley is None:
            return super().interval(op, lower, upper)
        place = torch.full_like(lower, self.valley).clamp(lower, upper)
        low, start, end = op(torch.cat([place, lower, upper])).chunk(3)
        high = torch.maximum(start, end)
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

    def relax(self, op: Operator, lower: Tensor, upper: Tensor) -> Relaxation:
        return self.from_lines(*self.lines(op, lower, upper))

    def lines(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[list[Line], list[Line]]:
        width, size = upper - lower, torch.maximum(lower.abs(), upper.abs())
        inside = self._in_bowl(op, width, size)
        if inside is None:
            return super().lines(op, lower, upper)
        floor, ceiling = self._bowl_lines(op, lower, upper, width, size)
        if bool(inside.all()):
            return floor, ceiling
        others = super().lines(op, lower, upper)

        def chosen(mine: Line, its: Line) -> Line:
            return torch.where(inside, mine[0], its[0]), torch.where(inside, mine[1], its[1])

        # behind the chord no line above is wanted
        pairs = zip((floor, ceiling * 2), others, strict=True)
        below, above = ([chosen(*pair) for pair in zip(*sides, strict=True)] for sides in pairs)
        return below, above

    def least_area(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Relaxation, Relaxation] | None:
        """The lines with the least area between them, and those of ``relax``, where all intervals lie in the bowl; else None."""
        width, size = upper - lower, torch.maximum(lower.abs(), upper.abs())
        inside = self._in_bowl(op, width, size)
        if inside is None or not bool(inside.all()):
            return None
        (flat, steep), (chord,) = self._bowl_lines(op, lower, upper, width, size)
        return _between(steep, chord), _between(flat, chord)

    def _in_bowl(self, op: Operator, width: Tensor, size: Tensor) -> Tensor | None:
        """A mask of the intervals on which f is convex, that are neither wide nor as narrow as rounding; None for none."""
        if not self.bowl or not self.derived(op):
            return None
        wide = width > 1e3 * torch.finfo(width.dtype).eps * (1 + size)
        inside = (size <= self.bowl) & (width <= _NARROW) & wide
        return inside if bool(inside.any()) else None

    def derived(self, op: Operator) -> bool:
        """True if ``slope`` is the derivative of this very op, up to rounding."""
        return True

    def bend(self, size: Tensor) -> Tensor:
        """At most twice the least f″(z) for |z| ≤ size ≤ ``bowl``, (B, *in)."""
        raise NotImplementedError

    def _bowl_lines(
        self, op: Operator, lower: Tensor, upper: Tensor, width: Tensor, size: Tensor
    ) -> tuple[list[Line], list[Line]]:
        """The lines below with the slopes of the chord and of the tangent at the middle, and the chord, over convex pieces of f.

        With d the slope of f(z) − s z at the middle and μ the least f″, its minimum is at least its value there − d² / (2 μ).
        """
        eps, middle = torch.finfo(lower.dtype).eps, (lower + upper) / 2
        start, end, between = op(torch.cat([lower, upper, middle])).chunk(3)
        tangent, chord = self.slope(op, middle), (end - start) / width.clamp(min=torch.finfo(width.dtype).tiny)
        # no |f(z)| is above |z|, and no slope above 1.2; slopes are off by a few units in the last place
        slack = 8 * eps * (1 + 2 * size)
        apart = (tangent - chord).abs() + 16 * eps
        missed = torch.minimum(apart * width, apart.square() / self.bend(size).clamp(min=1e-4))
        flat = torch.addcmul(between, chord, middle, value=-1) - (missed + slack)
        steep = torch.addcmul(between, tangent, middle, value=-1) - (slack + 16 * eps * width)
        ends = (torch.addcmul(place, chord, side, value=-1) for place, side in ((start, lower), (end, upper)))
        return [(chord, flat), (tangent, steep)], [(chord, torch.maximum(*ends) + slack)]

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


def _between(below: Line, above: Line) -> Relaxation:
    return Relaxation(lower_slope=below[0], lower_offset=below[1], upper_slope=above[0], upper_offset=above[1])


class GELURule(SampledRule):
    """z Φ(z), exact or by tanh. |f″| ≤ 0.8; the rule uses 1."""

    curvature = 1.0
    # -0.75246 for the form with tanh
    valley = -0.75179
    # f″ = φ (2 − z²), which falls with |z| up to 2
    bowl = 1.414

    def derived(self, op: Operator) -> bool:
        return bool(op.module.approximate == "none")

    def bend(self, size: Tensor) -> Tensor:
        square = size.square()
        return (2 - square) * (square * -0.5).exp() * (1.998 / math.sqrt(2 * math.pi))

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        # f′ = Φ + z φ; the form with tanh differs by less than 1e-2, and a line may have any slope
        density = (-z.square() / 2).exp() / math.sqrt(2 * math.pi)
        share: Tensor = torch.special.ndtr(z)
        return share + z * density


class SiLURule(SampledRule):
    """z σ(z). |f″| ≤ 0.5; the rule uses 0.51."""

    curvature = 0.51
    valley = -1.27846
    # f″ = σ′ (2 − z tanh(z / 2)), a product of two that fall with |z|
    bowl = 2.399

    def bend(self, size: Tensor) -> Tensor:
        share = size.sigmoid()
        return 1.998 * share * (1 - share) * (2 - size * (size / 2).tanh())

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return z.sigmoid() * (1 + z * (-z).sigmoid())
