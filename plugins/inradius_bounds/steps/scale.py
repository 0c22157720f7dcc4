"""Steps that scale and shift each number on its own."""

from typing import Any

import attrs
import torch
from torch import Tensor

from inradius import LayerRule, Operator
from inradius_bounds.lowering.constants import ConstantTensor


@attrs.frozen(eq=False)
class Intermediates:
    """The intermediate numbers of an execution of a scaling: each constant has one number a channel, and broadcasts.

    The numbers are at most peak · (|z| + middle). A loss of one of them grows by at most the factor ``peak``. before: the step
    that makes z, where the scaling is part of it.
    """

    peak: ConstantTensor
    middle: ConstantTensor | None = None
    before: Any = None


@attrs.frozen(eq=False)
class Scale:
    """z -> factor · z + shift. Both are constants that broadcast against one example, or None.

    size: a bound on the sizes of the numbers that the model adds up to make the shift, where it does so at every run. inside:
    the intermediate numbers, where the model computes the product by more than one operation.
    """

    factor: ConstantTensor | None
    shift: ConstantTensor | None
    size: ConstantTensor | None = None
    inside: Intermediates | None = None

    def __call__(self, z: Tensor) -> Tensor:
        z = z if self.factor is None else z * self.factor.value
        return z if self.shift is None else z + self.shift.value


class ScaleRule(LayerRule):
    """The rule of scalings. A factor < 0 exchanges the bounds. Rows are multiplied by the factors."""

    affine = True
    elementwise = True

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        first, second = op(lower), op(upper)
        if op.module.factor is None:
            return first, second
        rising = op.module.factor.value >= 0
        return torch.where(rising, first, second), torch.where(rising, second, first)

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        factor = op.module.factor
        return rows if factor is None else rows * factor.value

    def window(self, op: Operator) -> tuple[tuple[int, int], tuple[int, int]] | None:
        factor = op.module.factor
        shape = torch.Size() if factor is None else factor.value.shape
        alike = all(length == 1 for length in shape[-2:])
        return ((1, 1), (0, 0)) if len(op.in_shape) == 3 and alike else None

    def magnitude(self, op: Operator, bound: Tensor) -> Tensor:
        step = op.module
        bound = bound if step.factor is None else bound * step.factor.value.abs()
        added = step.shift if step.size is None else step.size
        return bound if added is None else bound + added.value.abs()

    def stretch(self, op: Operator, bound: Tensor) -> Tensor:
        factor = op.module.factor
        return bound if factor is None else bound * factor.value.abs()

    def terms(self, op: Operator) -> int:
        # 12 covers a factor and a shift that are computed at every run, by quotients, roots and products of statistics
        return 2 if op.module.size is None else 12

    def fan(self, op: Operator) -> int:
        return 1
