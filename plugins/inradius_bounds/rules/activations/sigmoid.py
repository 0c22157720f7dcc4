"""Sigmoid, tanh and softplus, whose turning points are logarithms."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inradius import ActivationRule, Operator
from inradius_bounds.rules.activations.s_shaped import SShapedRule
from inradius_bounds.rules.activations.turning_points import check_positive, log


class SigmoidRule(SShapedRule):
    """1 / (1 + exp(−z)). Its slope s = f (1 − f) is attained at ± log(f / (1 − f))."""

    def ulps(self, op: Operator) -> float:
        return 8

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        # f = (1 + √(1 − 4 s)) / 2, and f / (1 − f) = f² / s
        high = (1 + (1 - 4 * slope).clamp(min=0).sqrt()) / 2
        place = log(high.square() / slope.where(slope > 0, torch.nan))
        return [place, -place]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return z.sigmoid() * (-z).sigmoid()


class TanhRule(SShapedRule):
    """tanh(z). Its slope s = 1 − f² is attained at ± artanh √(1 − s)."""

    def ulps(self, op: Operator) -> float:
        return 8

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        # artanh f = log((1 + f)² / (1 − f²)) / 2
        root = (1 - slope).clamp(min=0).sqrt()
        place = log((1 + root).square() / slope.where(slope > 0, torch.nan)) / 2
        return [place, -place]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return 4 * (2 * z).sigmoid() * (-2 * z).sigmoid()


class SoftplusRule(ActivationRule):
    """log(1 + exp(β z)) / β with β > 0. Its slope is the sigmoid of β z, and beyond torch's threshold it is linear."""

    def ulps(self, op: Operator) -> float | None:
        # with a higher threshold, the kernel computes exp where it overflows in float32, from 88.7 on
        mantissa, _ = math.frexp(float(op.module.beta))
        # any other β is a factor that is rounded before exp, which multiplies its error by β z
        return 8 if float(op.module.threshold) <= 80 and mantissa == 0.5 else None

    def check(self, module: nn.Module) -> None:
        check_positive(module, "beta")

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        inner = ((slope > 0) & (slope < 1)).to(slope.dtype) * slope
        return [
            log(inner / (1 - inner)) / op.module.beta,
            torch.full_like(slope, op.module.threshold / op.module.beta),
        ]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return torch.sigmoid(op.module.beta * z)

    def gap(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        # at the threshold torch changes to the straight line, and leaves out log(1 + exp(−β z)) / β
        place = float(op.module.threshold) / float(op.module.beta)
        left_out = math.exp(-float(op.module.threshold)) / float(op.module.beta)
        return ((lower <= place) & (upper > place)).to(lower.dtype) * left_out


class LogSigmoidRule(ActivationRule):
    """log(sigmoid(z)) = −log(1 + exp(−z)). Its slope s is the sigmoid of −z, which is met at log((1 − s) / s)."""

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        inner = ((slope > 0) & (slope < 1)).to(slope.dtype) * slope
        return [log((1 - inner) / inner.where(inner > 0, torch.nan))]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return (-z).sigmoid()
