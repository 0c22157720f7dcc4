"""The rule of AvgPool2d: means over windows."""

from torch import Tensor

from inradius import LayerRule, Operator


class AveragePoolRule(LayerRule):
    """z -> means of z over windows. Every weight is ≥ 0, so each bound passes on its own."""

    affine = True

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        return op(lower), op(upper)

    def terms(self, op: Operator) -> int:
        size = op.module.kernel_size
        return int(size**2 if isinstance(size, int) else size[0] * size[1])
