"""The choice of the linear functions that stand for a non-linear layer in the backward pass."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from inradius import Operator, Relaxation
from inradius.certifiers.layer_rule import Line

Relax = Callable[[Operator, Tensor, Tensor], Relaxation]


def relax_by_rule(op: Operator, lower: Tensor, upper: Tensor) -> Relaxation:
    """The relaxation of the layer's own rule."""
    return op.rule.relax(op, lower, upper)


def smallest_area(op: Operator, lower: Tensor, upper: Tensor) -> Relaxation:
    """The pair of the rule's lines with the smallest area between them, neuron by neuron.

    The area below a line over [ℓ, u] is its value at the middle times u − ℓ. For a ReLU, the line below has slope 1 where u >
    −ℓ, and slope 0 elsewhere. Source: zhang2018.
    """
    return smallest_of(*op.rule.lines(op, lower, upper), lower, upper)


def smallest_of(floor: Sequence[Line], ceiling: Sequence[Line], lower: Tensor, upper: Tensor) -> Relaxation:
    """The pair of lines over a box with the smallest area between them, neuron by neuron."""
    middle = ((lower + upper) / 2).detach()
    below, above = _best(floor, middle, 1.0), _best(ceiling, middle, -1.0)
    return Relaxation(lower_slope=below[0], lower_offset=below[1], upper_slope=above[0], upper_offset=above[1])


def steepest(op: Operator, lower: Tensor, upper: Tensor) -> Relaxation:
    """The steepest of the rule's lines on either side. No mean of the lines has a steeper slope."""
    (floor, floor_offset), (ceiling, ceiling_offset) = (_steepest(side) for side in op.rule.lines(op, lower, upper))
    return Relaxation(lower_slope=floor, lower_offset=floor_offset, upper_slope=ceiling, upper_offset=ceiling_offset)


def _steepest(lines: Sequence[Line]) -> Line:
    slope, offset = lines[0]
    for other_slope, other_offset in lines[1:]:
        steeper = other_slope.abs() > slope.abs()
        slope, offset = torch.where(steeper, other_slope, slope), torch.where(steeper, other_offset, offset)
    return slope, offset


def _best(lines: Sequence[Line], middle: Tensor, sign: float) -> Line:
    """The line that is highest (sign 1) or lowest (sign −1) at the middle; the first line in a tie."""
    slope, offset = lines[0]
    for other_slope, other_offset in lines[1:]:
        # a difference no larger than rounding errors is a tie
        noise = 64 * torch.finfo(offset.dtype).eps * (middle.abs() * (slope.abs() + other_slope.abs()) + offset.abs())
        better = sign * ((other_slope - slope) * middle + other_offset - offset) > noise
        slope, offset = torch.where(better, other_slope, slope), torch.where(better, other_offset, offset)
    return slope, offset
