"""A relaxation from the multipliers of a linear program, which is sound for any multipliers."""

from collections.abc import Sequence

import torch
from torch import Tensor

from inradius import Operator, Relaxation
from inradius.certifiers.layer_rule import Line
from inradius_bounds.box import Box
from inradius_bounds.layout.layer_chain import LayerChain
from inradius_bounds.solvers.linear_program import Solution


def relaxations(chain: LayerChain, bounds: Sequence[Box], solution: Solution) -> list[Relaxation]:
    """The relaxation of every hidden layer over its bounds, whose lines are means under the multipliers of a solution."""
    places = zip(chain.hidden, bounds, solution.below, solution.above, strict=True)
    return [_mixed(activation, *box, below, above) for (_, activation), box, below, above in places]


def _mixed(op: Operator, lower: Tensor, upper: Tensor, below: Tensor, above: Tensor) -> Relaxation:
    """The relaxation whose lines are means of the rule's lines under the multipliers, sound for any multipliers."""
    floor, ceiling = op.rule.lines(op, lower, upper)
    (slope, offset), (top, top_offset) = _mean(floor, below), _mean(ceiling, above)
    # lines must hold as they are stored, so the rounded means are moved apart by the most that rounding changes over the box
    reach = torch.maximum(lower.abs(), upper.abs())
    offset, top_offset = offset - _room(floor, reach), top_offset + _room(ceiling, reach)
    return Relaxation(lower_slope=slope, lower_offset=offset, upper_slope=top, upper_offset=top_offset)


def _room(lines: Sequence[Line], reach: Tensor) -> Tensor:
    """The most that rounding of a mean of lines changes at inputs no larger than ``reach``, (B, *in)."""
    info = torch.finfo(reach.dtype)
    largest = torch.stack([slope.abs() * reach + offset.abs() for slope, offset in lines]).amax(0)
    return (2 * len(lines) + 8) * (info.eps * largest + info.smallest_normal)


def _mean(lines: Sequence[Line], weights: Tensor) -> Line:
    """The mean of lines (B, *in) under weights (lines, *in) ≥ 0; the plain mean where all weights are 0."""
    total = weights.sum(0)
    share = torch.where(total > 0, weights / total.clamp(min=torch.finfo(total.dtype).tiny), 1 / len(lines))
    share = share / share.sum(0)
    slopes, offsets = (torch.cat([line[side] for line in lines]) for side in (0, 1))
    return (share * slopes).sum(0, keepdim=True), (share * offsets).sum(0, keepdim=True)
