"""Steps that multiply by a constant matrix."""

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from inradius import LayerRule, Operator
from inradius_bounds.lowering.constants import ConstantTensor
from inradius_bounds.steps.scale import Intermediates
from inradius_bounds.steps.weighted import WeightedStep


@attrs.frozen(eq=False)
class LinearStep(WeightedStep):
    """z -> W z + b over the last axis, as ``torch.nn.Linear``, with weight (out, in), and bias (out,) or None."""

    weights: ConstantTensor
    biases: ConstantTensor | None
    size: ConstantTensor | None = None
    more: int = 0
    inside: Intermediates | None = None

    @property
    def in_features(self) -> int:
        return int(self.weight.shape[1])

    def __call__(self, z: Tensor) -> Tensor:
        return F.linear(z, self.weight, self.bias)


@attrs.frozen(eq=False)
class Product:
    """z -> z · M, or M · z where ``left``, for stacks of matrices. ``in_shape`` is that of z with all its axes."""

    matrix: ConstantTensor
    left: bool
    in_shape: torch.Size
    out_shape: torch.Size

    def __call__(self, z: Tensor) -> Tensor:
        return self.times(z, self.matrix.value)

    def times(self, z: Tensor, matrix: Tensor) -> Tensor:
        """The product with a matrix in the place of M."""
        full = z.reshape(len(z), *self.in_shape)
        found = matrix @ full if self.left else full @ matrix
        return found.reshape(len(z), *self.out_shape)

    def pulled(self, rows: Tensor, out_full: torch.Size) -> Tensor:
        """The rows times the linear part, (n, *out) -> (n, *in)."""
        turned, full = self.matrix.value.transpose(-1, -2), rows.reshape(len(rows), *out_full)
        pulled: Tensor = turned @ full if self.left else full @ turned
        return pulled


class ProductRule(LayerRule):
    """The rule of products: bounds by middle and radius, and the adjoint by the transposed matrix."""

    affine = True

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        center, radius = (upper + lower) / 2, (upper - lower) / 2
        middle, spread = op(center), op.module.times(radius, op.module.matrix.value.abs())
        return middle - spread, middle + spread

    def magnitude(self, op: Operator, bound: Tensor) -> Tensor:
        found: Tensor = op.module.times(bound, op.module.matrix.value.abs())
        return found

    def stretch(self, op: Operator, bound: Tensor) -> Tensor:
        return self.magnitude(op, bound)

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        step = op.module
        matrix = step.matrix.value
        inner = list(step.in_shape)
        inner[-2 if step.left else -1] = matrix.shape[-2 if step.left else -1]
        pulled: Tensor = step.pulled(rows.flatten(0, 1), torch.Size(inner))
        return pulled.reshape(*rows.shape[:2], *op.in_shape)

    def terms(self, op: Operator) -> int:
        return int(op.module.matrix.value.shape[-1 if op.module.left else -2])

    def fan(self, op: Operator) -> int:
        return int(op.module.matrix.value.shape[-2 if op.module.left else -1])
