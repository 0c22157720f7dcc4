"""The rule of Linear: z -> W z + b."""

import torch
import torch.nn.functional as F
from torch import Tensor

from inradius import LayerRule, Operator
from inradius_bounds.rules.weights import weight_size


class LinearRule(LayerRule):
    """z -> W z + b over the last axis."""

    affine = True

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        center, radius = (upper + lower) / 2, (upper - lower) / 2
        middle, spread = op(center), F.linear(radius, weight_size(op.module))
        return middle - spread, middle + spread

    def magnitude(self, op: Operator, bound: Tensor) -> Tensor:
        size = getattr(op.module, "bias_size", op.module.bias)
        bias = None if size is None else size.abs()
        return F.linear(bound, weight_size(op.module), bias)

    def stretch(self, op: Operator, bound: Tensor) -> Tensor:
        return F.linear(bound, weight_size(op.module))

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        pulled: Tensor = rows @ op.module.weight
        return pulled

    def unit_rows(self, op: Operator, index: Tensor, dtype: torch.dtype) -> Tensor:
        if len(op.out_shape) > 1:
            return super().unit_rows(op, index, dtype)
        rows: Tensor = op.module.weight[index]
        return rows

    def terms(self, op: Operator) -> int:
        return int(op.module.in_features) + int(getattr(op.module, "more", 0))

    def terms_of(self, op: Operator, some: Tensor) -> Tensor:
        # the largest count among the vectors along the last axis
        found: Tensor = some.sum(-1).reshape(len(some), -1).amax(1) + int(getattr(op.module, "more", 0))
        return found

    def fan_of(self, op: Operator, some: Tensor) -> Tensor:
        found: Tensor = some.sum(-1).reshape(len(some), -1).amax(1)
        return found

    def fan(self, op: Operator) -> int:
        return int(op.module.weight.shape[0])
