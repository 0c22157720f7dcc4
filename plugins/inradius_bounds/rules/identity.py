"""Layers that do nothing in eval mode: Identity and Dropout."""

from inradius import LayerRule, Operator
from torch import Tensor


class IdentityRule(LayerRule):
    """z -> z."""

    affine = True
    elementwise = True

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        return lower, upper

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        return rows
