"""The rule of Normalize: (z − mean) / std for each channel."""

from torch import Tensor

from inradius import LayerRule, Operator


class NormalizeRule(LayerRule):
    """z -> (z − mean) / std with std > 0, so bounds keep their order."""

    affine = True
    elementwise = True

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        return op(lower), op(upper)

    def fan(self, op: Operator) -> int:
        return 1

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        scaled: Tensor = rows / op.module.std
        return scaled

    def window(self, op: Operator) -> tuple[tuple[int, int], tuple[int, int]] | None:
        return ((1, 1), (0, 0)) if len(op.in_shape) == 3 else None
