"""Functions of exp: ELU, CELU, exp itself, and exp with a cap."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inradius import ActivationRule, Operator
from inradius_bounds.rules.activations.turning_points import check_positive, log


class ELURule(ActivationRule):
    """z above 0, and α (exp(z) − 1) below."""

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return [torch.zeros_like(slope), log(slope / op.module.alpha).clamp(max=0)]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return torch.where(z >= 0, torch.ones_like(z), op.module.alpha * z.clamp(max=0).exp())


class CELURule(ActivationRule):
    """z above 0, and α (exp(z / α) − 1) below, for α > 0."""

    def check(self, module: nn.Module) -> None:
        check_positive(module, "alpha")

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return [torch.zeros_like(slope), op.module.alpha * log(slope).clamp(max=0)]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return torch.where(z >= 0, torch.ones_like(z), (z.clamp(max=0) / op.module.alpha).exp())


class ExpRule(ActivationRule):
    """exp(z)."""

    def ulps(self, op: Operator) -> float:
        return 8

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return [log(slope)]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return z.exp()


class CappedExpRule(ActivationRule):
    """exp(z), and exp(cap) above the cap, whose bounds are finite for any z."""

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        return [log(slope).clamp(max=op.module.cap), torch.full_like(slope, op.module.cap)]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return torch.where(z < op.module.cap, z.clamp(max=op.module.cap).exp(), torch.zeros_like(z))
