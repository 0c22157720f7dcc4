"""Bounds of inner layers with slopes found by ascent, for the neurons that are left undecided."""

import torch
from torch import Tensor

from inradius import Oracles
from inradius_bounds.backward import Rows
from inradius_bounds.block import AffineBlock
from inradius_bounds.forward import Box, next_bounds
from inradius_bounds.layer_bounds import LayerBounds, ragged
from inradius_bounds.relax import smallest_area
from inradius_bounds.slopes import ascended
from inradius_bounds.trace import Chain
from inradius_bounds.windows import WindowRows, pulls_windows, unit_windows

# how many shares, over all layers, are ascended at once
_SHARES = 1 << 22


def tightened(chain: Chain, bounds: list[Box], x: Tensor, threat: Oracles, steps: int) -> LayerBounds:
    """Layer bounds no looser than ``bounds``: from the second layer on, each undecided neuron's own slopes are sought.

    Layer by layer, each over the bounds just found for the ones before it.
    """
    found = LayerBounds()
    for depth, (_, activation) in enumerate(chain.hidden):
        interval = bounds[depth]
        if depth:
            forward = next_bounds(chain, depth, found.bounds[-1])
            interval = torch.maximum(interval[0], forward[0]), torch.minimum(interval[1], forward[1])
            interval = _tightened_layer(chain, depth, interval, found.bounds, x, threat, steps)
        found.add(activation, interval, smallest_area)
    return found


def _tightened_layer(
    chain: Chain, depth: int, start: Box, before: list[Box], x: Tensor, threat: Oracles, steps: int
) -> Box:
    """The bounds of one layer's inputs, raised and lowered where they leave neurons undecided."""
    activation = chain.hidden[depth][1]
    index, used = ragged(activation.rule.undecided(activation, *start).flatten(1))
    if not index.shape[1]:
        return start
    width = 2 * len(x) * sum(block.out_shape.numel() for block, _ in chain.hidden[:depth])
    parts = torch.split(index, max(1, _SHARES // width), dim=1)
    sides = [_sides(chain, depth, part, before, x, threat, steps) for part in parts]
    lower, upper = (torch.cat(side, dim=1) for side in zip(*sides, strict=True))
    flat = start[0].flatten(1).clone(), start[1].flatten(1).clone()
    examples, rows = used.nonzero(as_tuple=True)
    places = (examples, index[examples, rows])
    low = torch.maximum(flat[0][places], lower[examples, rows])
    high = torch.minimum(flat[1][places], upper[examples, rows])
    return flat[0].index_put(places, low).view_as(start[0]), flat[1].index_put(places, high).view_as(start[1])


def _sides(
    chain: Chain, depth: int, index: Tensor, before: list[Box], x: Tensor, threat: Oracles, steps: int
) -> tuple[Tensor, Tensor]:
    """Lower and upper bounds of chosen outputs of block ``depth``, (B, K) indices -> two of (B, K)."""
    both = _both(chain.stages[depth].block, index, x)
    lower, negated = ascended(chain, both, before, x, threat, steps, goal=float("inf")).chunk(2, dim=1)
    return lower, -negated


def _both(block: AffineBlock, index: Tensor, x: Tensor) -> Rows | WindowRows:
    """Chosen outputs of a block as functions of its input, (B, K) indices, and behind them the same times −1."""
    if pulls_windows(block):
        windows = unit_windows(block, index, x)
        return windows.joined(windows.negated)
    rows, constant = block.unit_rows(index, x.dtype), block.offset(x).flatten()[index]
    return Rows(torch.cat([rows, -rows], dim=1), torch.cat([constant, -constant], dim=1))
