"""The rule of BatchNorm in eval mode: a scaling and a shift of each channel."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from inradius import LayerRule, Operator, UnsupportedError


class BatchNormRule(LayerRule):
    """z -> γ (z − mean) / √(variance + ε) + β with the running statistics."""

    affine = True
    elementwise = True

    def check(self, module: nn.Module) -> None:
        if isinstance(module, _BatchNorm) and (module.running_mean is None or module.running_var is None):
            raise UnsupportedError(
                f"{module} keeps no running statistics, so examples of a batch depend on each other; "
                "allowed is track_running_stats=True"
            )

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        rising = _scale(op) >= 0
        first, second = op(lower), op(upper)
        return torch.where(rising, first, second), torch.where(rising, second, first)

    def fan(self, op: Operator) -> int:
        return 1

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        return rows * _scale(op)

    def window(self, op: Operator) -> tuple[tuple[int, int], tuple[int, int]] | None:
        return ((1, 1), (0, 0)) if len(op.in_shape) == 3 else None


def _scale(op: Operator) -> Tensor:
    """γ / √(variance + ε), in a shape that broadcasts against the op's inputs without their batch axis."""
    norm = op.module
    scale: Tensor = (norm.running_var + norm.eps).rsqrt()
    scale = scale if norm.weight is None else scale * norm.weight
    return scale.view(-1, *(1,) * (len(op.in_shape) - 1))
