"""The curves that torch ships, each by its turning points."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inradius import ActivationRule, LayerRule, Operator, UnsupportedError
from inradius_bounds.rules.functions import ExpLayer, ReciprocalLayer, SquareLayer, SquareRootLayer


def _log(values: Tensor) -> Tensor:
    """The logarithm, NaN where there is none."""
    positive = values > 0
    return torch.where(positive, torch.where(positive, values, torch.ones_like(values)).log(), torch.nan)


def _check_positive(module: nn.Module, name: str) -> None:
    if float(getattr(module, name)) <= 0:
        raise UnsupportedError(f"{module} has {name} ≤ 0, where its turning points are others; allowed is {name} > 0")


class PiecewiseRule(ActivationRule):
    """A function of straight pieces, which turns at its kinks alone."""

    def kinks(self, op: Operator) -> Sequence[float]:
        """Where the pieces meet."""
        return (0.0,)

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return [torch.full_like(slope, kink) for kink in self.kinks(op) if abs(kink) < float("inf")]

    def undecided(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        found = torch.zeros_like(lower, dtype=torch.bool)
        for kink in self.kinks(op):
            found = found | ((lower < kink) & (upper > kink))
        return found


class LeakyReLURule(PiecewiseRule):
    """max(z, 0) + slope · min(z, 0)."""

    def ulps(self, op: Operator) -> float:
        return 2

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return torch.where(z >= 0, 1.0, op.module.negative_slope).to(z.dtype)


class HardtanhRule(PiecewiseRule):
    """z between two numbers; with those of ReLU6 and clamp."""

    def ulps(self, op: Operator) -> float:
        return 0

    def kinks(self, op: Operator) -> Sequence[float]:
        return (op.module.min_val, op.module.max_val)

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        low, high = self.kinks(op)
        return ((z >= low) & (z <= high)).to(z.dtype)


class ELURule(ActivationRule):
    """z above 0, α (exp(z) − 1) below."""

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return [torch.zeros_like(slope), _log(slope / op.module.alpha).clamp(max=0)]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return torch.where(z >= 0, torch.ones_like(z), op.module.alpha * z.clamp(max=0).exp())


class CELURule(ActivationRule):
    """z above 0, α (exp(z / α) − 1) below, for α > 0."""

    def check(self, module: nn.Module) -> None:
        _check_positive(module, "alpha")

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return [torch.zeros_like(slope), op.module.alpha * _log(slope).clamp(max=0)]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return torch.where(z >= 0, torch.ones_like(z), (z.clamp(max=0) / op.module.alpha).exp())


class SigmoidRule(ActivationRule):
    """1 / (1 + exp(−z)), whose slope s = f (1 − f) is met at ± log(f / (1 − f))."""

    def ulps(self, op: Operator) -> float:
        return 8

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        # f = (1 + √(1 − 4 s)) / 2, and f / (1 − f) = f² / s
        high = (1 + (1 - 4 * slope).clamp(min=0).sqrt()) / 2
        place = _log(high.square() / slope.where(slope > 0, torch.nan))
        return [place, -place]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return z.sigmoid() * (-z).sigmoid()


class TanhRule(ActivationRule):
    """tanh(z), whose slope s = 1 − f² is met at ± artanh √(1 − s)."""

    def ulps(self, op: Operator) -> float:
        return 8

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        # artanh f = log((1 + f)² / (1 − f²)) / 2
        root = (1 - slope).clamp(min=0).sqrt()
        place = _log((1 + root).square() / slope.where(slope > 0, torch.nan)) / 2
        return [place, -place]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return 4 * (2 * z).sigmoid() * (-2 * z).sigmoid()


class SoftplusRule(ActivationRule):
    """log(1 + exp(β z)) / β, whose slope is the sigmoid of β z; linear behind torch's threshold; β > 0."""

    def ulps(self, op: Operator) -> float | None:
        # exp overflows in float32 from 88.7 on, where the kernel is still asked for it
        return 8 if float(op.module.threshold) <= 80 else None

    def check(self, module: nn.Module) -> None:
        _check_positive(module, "beta")

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        inner = ((slope > 0) & (slope < 1)).to(slope.dtype) * slope
        return [
            _log(inner / (1 - inner)) / op.module.beta,
            torch.full_like(slope, op.module.threshold / op.module.beta),
        ]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return torch.sigmoid(op.module.beta * z)

    def gap(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        # where torch goes over to the straight line, it leaves out log(1 + exp(−β z)) / β
        place = float(op.module.threshold) / float(op.module.beta)
        left_out = math.exp(-float(op.module.threshold)) / float(op.module.beta)
        return ((lower <= place) & (upper > place)).to(lower.dtype) * left_out


class _SampledRule(ActivationRule):
    """A smooth function without formulas for its turns: a grid, and what it may miss, curvature · step² / 8."""

    curvature: float
    points = 65

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return []

    def _extremes(self, op: Operator, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        share = torch.linspace(0, 1, self.points, dtype=lower.dtype, device=lower.device)
        share = share.view(-1, *(1,) * lower.ndim)
        grid = torch.minimum(lower + (upper - lower) * share, upper)
        values = op(grid.flatten(0, 1)).view(grid.shape) - slope * grid
        low, high = values.amin(0), values.amax(0)
        size = torch.maximum(lower.abs(), upper.abs())
        slack = 8 * torch.finfo(low.dtype).eps * (1 + low.abs() + high.abs() + slope.abs() * size)
        missed = self.curvature * ((upper - lower) / (self.points - 1)).square() / 8
        return self._within(op, slope, lower, upper, low - slack - missed, high + slack + missed)

    def _within(
        self, op: Operator, slope: Tensor, lower: Tensor, upper: Tensor, low: Tensor, high: Tensor
    ) -> tuple[Tensor, Tensor]:
        """No worse than max(z, 0) − 1/5 ≤ f(z) ≤ max(z, 0), which holds for GELU; SiLU needs 0.28."""
        ends = torch.stack([lower.relu() - slope * lower, upper.relu() - slope * upper])
        zero = torch.zeros_like(lower)
        inside = torch.where((lower < 0) & (upper > 0), zero, ends[0])
        least = torch.minimum(ends.amin(0), inside) - 0.28
        most = torch.maximum(ends.amax(0), inside)
        slack = 8 * torch.finfo(low.dtype).eps * (least.abs() + most.abs())
        return torch.maximum(low, least - slack), torch.minimum(high, most + slack)


class GELURule(_SampledRule):
    """z Φ(z), exact or by tanh; |f″| ≤ 0.8, with room 1."""

    curvature = 1.0

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        # f′ = Φ + z φ; that of the form with tanh differs by less than 1e-2, and a line may have any slope
        density = (-z.square() / 2).exp() / math.sqrt(2 * math.pi)
        share: Tensor = torch.special.ndtr(z)
        return share + z * density


class SiLURule(_SampledRule):
    """z σ(z); |f″| ≤ 0.5."""

    curvature = 0.51

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return z.sigmoid() * (1 + z * (-z).sigmoid())


class ExpRule(ActivationRule):
    """exp(z)."""

    def ulps(self, op: Operator) -> float:
        return 8

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return [_log(slope)]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return z.exp()


class SquareRule(ActivationRule):
    """z²."""

    def ulps(self, op: Operator) -> float:
        return 1

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return [slope / 2]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return 2 * z


class ReciprocalRule(ActivationRule):
    """1 / z for z > 0; nothing is known where an interval reaches 0."""

    def ulps(self, op: Operator) -> float:
        return 8

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        falling = slope < 0
        return [torch.where(falling, torch.where(falling, -slope, torch.ones_like(slope)).rsqrt(), torch.nan)]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return -z.square().reciprocal()

    def valid(self, op: Operator, lower: Tensor) -> Tensor:
        return lower > 0


class SquareRootRule(ActivationRule):
    """√z for z > 0; nothing is known where an interval reaches 0."""

    def ulps(self, op: Operator) -> float:
        return 8

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        rising = slope > 0
        return [torch.where(rising, 1 / (4 * torch.where(rising, slope, torch.ones_like(slope)).square()), torch.nan)]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return 0.5 * z.rsqrt()

    def valid(self, op: Operator, lower: Tensor) -> Tensor:
        return lower > 0


def curves() -> dict[type[nn.Module], LayerRule]:
    """Each curve's layer with its rule."""
    clipped = HardtanhRule()
    return {
        nn.LeakyReLU: LeakyReLURule(),
        nn.Hardtanh: clipped,
        nn.ReLU6: clipped,
        nn.ELU: ELURule(),
        nn.CELU: CELURule(),
        nn.Sigmoid: SigmoidRule(),
        nn.Tanh: TanhRule(),
        nn.Softplus: SoftplusRule(),
        nn.GELU: GELURule(),
        nn.SiLU: SiLURule(),
        ExpLayer: ExpRule(),
        SquareLayer: SquareRule(),
        ReciprocalLayer: ReciprocalRule(),
        SquareRootLayer: SquareRootRule(),
    }
