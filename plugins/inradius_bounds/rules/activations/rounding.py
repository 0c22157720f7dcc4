"""The rule of rounding to a shorter floating-point type."""

import torch
from torch import Tensor

from inradius import LayerRule, Operator, Relaxation


class RoundingRule(LayerRule):
    """z -> the nearest number of a shorter type: within u |z| plus its smallest normal number. Where z overflows, no bound."""

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        spread = _spread(op, lower, upper)
        return lower - spread, upper + spread

    def relax(self, op: Operator, lower: Tensor, upper: Tensor) -> Relaxation:
        spread, one = _spread(op, lower, upper), torch.ones_like(lower)
        return Relaxation(lower_slope=one, lower_offset=-spread, upper_slope=one, upper_offset=spread)


def _spread(op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
    """The most by which a number between the bounds is rounded, (B, *in)."""
    info = torch.finfo(op.module.dtype)
    size = torch.maximum(lower.abs(), upper.abs())
    # a machine may flush numbers below the smallest normal one
    spread = info.eps / 2 * size + info.smallest_normal
    return torch.where(size < info.max, spread, torch.inf)
