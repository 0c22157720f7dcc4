"""Bounds of inner layers with slopes found by ascent, for the undecided numbers."""

from collections.abc import Callable

import torch
from torch import Tensor

from inradius_bounds.backward.inner_bounds import CurveRelaxations, ragged, undecided
from inradius_bounds.backward.rows.units import UnitRows
from inradius_bounds.backward.slope_ascent import StartRows, ascended, never
from inradius_bounds.backward.tangent_lines import numbers_of_share
from inradius_bounds.box import Box
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rules.relax import smallest_area

# the most shares, over all layers, that one ascent optimises
_SHARES = 1 << 22


def tightened(values: ValueBounds, steps: int, over: Callable[[], bool] = never) -> CurveRelaxations:
    """Relaxations over boxes no looser than those of ``values``; behind the first curves each undecided number gets own slopes.

    The nodes are bounded in order, each over the boxes that were just found for the nodes before it. Once ``over`` is true, asked
    before every node and every step, the others keep what they have.
    """
    network = values.network
    fresh = values.unbounded
    found = CurveRelaxations(fresh)
    for node in network.nodes:
        if node.curved:
            found.add(node, smallest_area)
        elif node in network.curve_inputs:
            before = values.boxes[node]
            if node in network.affine_nodes:
                fresh.boxes[node] = before
                continue
            forward = fresh.box(node)
            start = torch.maximum(before[0], forward[0]), torch.minimum(before[1], forward[1])
            fresh.boxes[node] = start if over() else _tightened(fresh, node, start, steps, over)
    return found


def _tightened(values: ValueBounds, node: Node, start: Box, steps: int, over: Callable[[], bool]) -> Box:
    """The box of one node, raised and lowered where it leaves numbers undecided."""
    index, used = ragged(undecided(values, node, start).flatten(1))
    if not index.shape[1]:
        return start
    network = values.network
    width = (
        2
        * len(index)
        * sum(
            curve.stored.numel() * numbers_of_share(curve.required_operator)
            for curve in network.curves
            if network.place[curve] < network.place[node]
        )
    )
    if not width:
        # products alone have no slopes to choose
        return start
    parts = torch.split(index, max(1, _SHARES // width), dim=1)
    sides = [_sides(values, node, part, steps, over) for part in parts]
    lower, upper = (torch.cat(side, dim=1) for side in zip(*sides, strict=True))
    flat = start[0].flatten(1).clone(), start[1].flatten(1).clone()
    examples, rows = used.nonzero(as_tuple=True)
    places = (examples, index[examples, rows])
    low = torch.maximum(flat[0][places], lower[examples, rows])
    high = torch.minimum(flat[1][places], upper[examples, rows])
    return flat[0].index_put(places, low).view_as(start[0]), flat[1].index_put(places, high).view_as(start[1])


def _sides(values: ValueBounds, node: Node, index: Tensor, steps: int, over: Callable[[], bool]) -> Box:
    """Lower and upper bounds of chosen numbers of a node, (B, K) flat indices -> two of (B, K)."""
    both = UnitRows(index, None, values.x.dtype).doubled()
    zero = torch.zeros(both.shape, dtype=values.x.dtype, device=index.device)
    found = ascended(values, StartRows(node, both, zero), steps, goal=float("inf"), over=over).safe
    lower, negated = found.chunk(2, dim=1)
    return lower, -negated
