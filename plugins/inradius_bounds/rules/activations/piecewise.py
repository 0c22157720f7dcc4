"""Functions of few pieces: LeakyReLU, Hardtanh with ReLU6 and clamp, Softshrink, and Hardswish."""

from collections.abc import Sequence

import torch
from torch import Tensor

from inradius import ActivationRule, Operator


class PiecewiseRule(ActivationRule):
    """A function of straight pieces, whose only turning points are its kinks."""

    def kinks(self, op: Operator) -> Sequence[float]:
        """The places where the pieces meet."""
        return (0.0,)

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return [torch.full_like(slope, kink) for kink in self.kinks(op) if abs(kink) < float("inf")]

    def undecided(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        found = torch.zeros_like(lower, dtype=torch.bool)
        for kink in self.kinks(op):
            found = found | ~((lower >= kink) | (upper <= kink))
        return found


class LeakyReLURule(PiecewiseRule):
    """max(z, 0) + slope · min(z, 0)."""

    def ulps(self, op: Operator) -> float:
        return 2

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return torch.where(z >= 0, 1.0, op.module.negative_slope).to(z.dtype)


class HardtanhRule(PiecewiseRule):
    """z clamped between two numbers, as in Hardtanh, ReLU6 and clamp."""

    def ulps(self, op: Operator) -> float:
        return 0

    def kinks(self, op: Operator) -> Sequence[float]:
        return (op.module.min_val, op.module.max_val)

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        low, high = self.kinks(op)
        return ((z >= low) & (z <= high)).to(z.dtype)


class SoftshrinkRule(PiecewiseRule):
    """z − λ above λ, z + λ below −λ, and 0 between."""

    def kinks(self, op: Operator) -> Sequence[float]:
        return (-float(op.module.lambd), float(op.module.lambd))

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return (z.abs() > float(op.module.lambd)).to(z.dtype)


class HardswishRule(ActivationRule):
    """0 below −3, z (z + 3) / 6 up to 3, and z above. The slope s between is (2 z + 3) / 6, which is met at 3 s − 3 / 2."""

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return [torch.full_like(slope, -3), torch.full_like(slope, 3), (3 * slope - 1.5).clamp(-3, 3)]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return torch.where(z.abs() <= 3, (2 * z + 3) / 6, (z > 0).to(z.dtype))
