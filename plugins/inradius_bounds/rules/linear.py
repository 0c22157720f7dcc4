"""The rule of Linear: z -> W z + b."""

import torch
import torch.nn.functional as F
from torch import Tensor

from inradius import Operator
from inradius_bounds.steps.weighted import WeightedRule, weight_size


class LinearRule(WeightedRule):
    """z -> W z + b over the last axis."""

    def spread(self, op: Operator, bound: Tensor, constants: Tensor | None) -> Tensor:
        return F.linear(bound, weight_size(op.module), constants)

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
