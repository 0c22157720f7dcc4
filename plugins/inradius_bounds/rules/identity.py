"""The rule of layers that do nothing in eval mode: Identity and Dropout."""

from torch import Tensor

from inradius import LayerRule, Operator


class IdentityRule(LayerRule):
    """z -> z."""

    affine = True
    elementwise = True
    rounds = False

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        return lower, upper

    def fan(self, op: Operator) -> int:
        return 1

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        return rows

    def window(self, op: Operator) -> tuple[tuple[int, int], tuple[int, int]] | None:
        return ((1, 1), (0, 0)) if len(op.in_shape) == 3 else None
