"""The choice of the linear functions that stand for a non-linear layer in the backward pass."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from inradius import Operator, Relaxation
from inradius.certifiers.layer_rule import Line
from inradius_bounds.rules.activations.sampled import SampledRule

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


def least_area(op: Operator, lower: Tensor, upper: Tensor) -> tuple[Relaxation, Relaxation | None]:
    """The relaxation of ``smallest_area``, and that of the layer's own rule where the same lines show it."""
    found = op.rule.least_area(op, lower, upper) if isinstance(op.rule, SampledRule) else None
    if found is not None:
        return found
    lines = op.rule.lines(op, lower, upper)
    return smallest_of(*lines, lower, upper), op.rule.from_lines(*lines)


def smallest_of(floor: Sequence[Line], ceiling: Sequence[Line], lower: Tensor, upper: Tensor) -> Relaxation:
    """The pair of lines over a box with the smallest area between them, neuron by neuron."""
    middle = ((lower + upper) / 2).detach()
    below, above = _best(floor, middle, 1.0), _best(ceiling, middle, -1.0)
    return Relaxation(lower_slope=below[0], lower_offset=below[1], upper_slope=above[0], upper_offset=above[1])


def between(lines: Relaxation, middle: Tensor, width: Tensor) -> Tensor:
    """The area between two lines over a box with this middle and width, neuron by neuron."""
    apart = lines.upper_offset - lines.lower_offset
    if not lines.parallel:
        apart = torch.addcmul(apart, lines.upper_slope - lines.lower_slope, middle)
    return width * apart


def where(chosen: Tensor, lines: Relaxation, others: Relaxation) -> Relaxation:
    """The lines in the chosen examples (B,), and other lines in the rest."""
    mask = chosen.view(-1, *(1,) * (lines.lower_slope.ndim - 1))

    def side(mine: Tensor, its: Tensor) -> Tensor:
        return torch.where(mask, mine, its)

    return Relaxation(
        lower_slope=side(lines.lower_slope, others.lower_slope),
        lower_offset=side(lines.lower_offset, others.lower_offset),
        upper_slope=side(lines.upper_slope, others.upper_slope),
        upper_offset=side(lines.upper_offset, others.upper_offset),
    )


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
    share = 64 * torch.finfo(offset.dtype).eps
    for other_slope, other_offset in lines[1:]:
        # a difference no larger than rounding errors is a tie
        size = torch.addcmul(offset.abs(), middle.abs(), slope.abs() + other_slope.abs())
        ahead = torch.addcmul(other_offset - offset, other_slope - slope, middle)
        better = (ahead if sign > 0 else -ahead) > share * size
        slope, offset = torch.where(better, other_slope, slope), torch.where(better, other_offset, offset)
    return slope, offset
