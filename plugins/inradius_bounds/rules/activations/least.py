"""Curves of values that are known to be no smaller than a number, whatever their bounds say: sums of squares, say."""

from typing import Any

import torch
from torch import Tensor

from inradius import ActivationRule, Operator, Relaxation
from inradius.certifiers.layer_rule import Line


class LeastRule(ActivationRule):
    """A curve whose layer has ``least``: a number that its inputs are never below, or None.

    That holds in exact arithmetic and in any execution. Lines and intervals are those over the part of a box that values can reach.
    """

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        return super().interval(op, *_reached(op.module, lower, upper))

    def relax(self, op: Operator, lower: Tensor, upper: Tensor) -> Relaxation:
        return super().relax(op, *_reached(op.module, lower, upper))

    def with_slope(self, op: Operator, slope: Tensor, lower: Tensor, upper: Tensor) -> Relaxation:
        return super().with_slope(op, slope, *_reached(op.module, lower, upper))

    def lines(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[list[Line], list[Line]]:
        return super().lines(op, *_reached(op.module, lower, upper))

    def undecided(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        return super().undecided(op, *_reached(op.module, lower, upper))

    def known(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        return super().known(op, *_reached(op.module, lower, upper))


def _reached(module: Any, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """The part of a box [lower, upper] that values no smaller than ``least`` can reach; its lower end where it is below."""
    if module.least is None:
        return lower, upper
    low = lower.clamp(min=module.least)
    return low, torch.maximum(upper, low)
