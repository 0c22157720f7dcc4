"""Normalize: (z − mean) / std per channel."""

from inradius import LayerRule, Operator
from torch import Tensor


class NormalizeRule(LayerRule):
    """z -> (z − mean) / std with std > 0, so bounds keep their order."""

    affine = True
    elementwise = True

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        return op(lower), op(upper)

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        scaled: Tensor = rows / op.module.std
        return scaled
