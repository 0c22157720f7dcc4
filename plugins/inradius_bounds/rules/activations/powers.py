"""Squares, reciprocals and square roots."""

from collections.abc import Sequence

import torch
from torch import Tensor

from inradius import ActivationRule, Operator
from inradius_bounds.rules.activations.least import LeastRule


class SquareRule(ActivationRule):
    """z²."""

    def ulps(self, op: Operator) -> float:
        return 1

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return [slope / 2]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return 2 * z


class ReciprocalRule(LeastRule):
    """1 / z for z > 0. An interval that reaches 0 has no bounds."""

    def ulps(self, op: Operator) -> float:
        return 8

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        falling = slope < 0
        return [torch.where(falling, torch.where(falling, -slope, torch.ones_like(slope)).rsqrt(), torch.nan)]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return -z.square().reciprocal()

    def valid(self, op: Operator, lower: Tensor) -> Tensor:
        return lower > 0

    def gap(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        return torch.full((), op.module.gap, dtype=lower.dtype, device=lower.device)


class SquareRootRule(LeastRule):
    """√z for z ≥ 0. An interval that reaches below 0 has no bounds."""

    def ulps(self, op: Operator) -> float:
        return 8

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        rising = slope > 0
        return [torch.where(rising, (0.5 / torch.where(rising, slope, torch.ones_like(slope))).square(), torch.nan)]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        # at 0, where there is none, any number
        return 0.5 * torch.where(z > 0, z, torch.ones_like(z)).rsqrt()

    def valid(self, op: Operator, lower: Tensor) -> Tensor:
        return lower >= 0
