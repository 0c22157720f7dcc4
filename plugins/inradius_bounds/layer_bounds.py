"""Bounds of every layer by the backward pass, intersected with interval bounds (Algorithm 1 of Wong 2020).

Layer by layer: interval arithmetic first, then backward rows for the neurons that it leaves undecided. An example's rows
are its own; a batch is padded to the longest list of rows, which changes no example's bounds.
"""

from typing import Literal

import attrs
import torch
from torch import Tensor

from inradius import Operator, Oracles, Relaxation
from inradius_bounds.backward import Rows, both_bounds, lower_bound, parallel_bounds
from inradius_bounds.forward import Box, first_bounds, next_bounds
from inradius_bounds.relax import Relax, relax_by_rule
from inradius_bounds.trace import Chain
from inradius_bounds.windows import WindowRows, descend, pulls_windows, unit_windows

# how many numbers a block of rows may hold at the widest layer
_BLOCK = 1 << 23

# where the bounds of inner layers come from: the backward pass, or interval arithmetic alone
Inner = Literal["backward", "interval"]


@attrs.define(eq=False)
class LayerBounds:
    """Bounds of the inputs of non-linear layers, from the first on, with the relaxations they give."""

    bounds: list[Box] = attrs.field(factory=list)
    relaxations: list[Relaxation] = attrs.field(factory=list)

    def add(self, activation: Operator, interval: Box, relax: Relax) -> None:
        """Appends one layer."""
        self.bounds.append(interval)
        self.relaxations.append(relax(activation, *interval))


def layer_bounds(
    chain: Chain,
    x: Tensor,
    threat: Oracles,
    *,
    intersect: bool = True,
    relax: Relax = relax_by_rule,
    inner: Inner = "backward",
) -> LayerBounds:
    """Bounds of the input of every non-linear layer over Δ(x).

    With ``intersect``, interval bounds are kept where they are tighter, and only undecided neurons get rows; without,
    every neuron's bounds are those of the backward pass alone. With ``inner="interval"`` they are interval bounds alone.
    """
    found = LayerBounds()
    for depth, (_, activation) in enumerate(chain.hidden):
        if depth == 0:
            interval = first_bounds(chain, x, threat)
        else:
            interval = next_bounds(chain, depth, found.bounds[-1])
            if inner == "backward":
                interval = _refined(chain, depth, interval, found.relaxations, x, threat, intersect)
        found.add(activation, interval, relax)
    return found


def _refined(
    chain: Chain,
    depth: int,
    start: Box,
    relaxations: list[Relaxation],
    x: Tensor,
    threat: Oracles,
    intersect: bool,
) -> Box:
    activation = chain.hidden[depth][1]
    wanted = activation.rule.undecided(activation, *start) if intersect else torch.ones_like(start[0], dtype=torch.bool)
    index, used = ragged(wanted.flatten(1))
    if not index.shape[1]:
        return start
    lower, upper = _row_bounds(chain, depth, index, relaxations, x, threat)
    flat = (start[0].flatten(1), start[1].flatten(1))
    if intersect:
        lower = torch.maximum(lower, flat[0].gather(1, index))
        upper = torch.minimum(upper, flat[1].gather(1, index))
    examples, rows = used.nonzero(as_tuple=True)
    places = (examples, index[examples, rows])
    refined = (flat[0].index_put(places, lower[examples, rows]), flat[1].index_put(places, upper[examples, rows]))
    return refined[0].view_as(start[0]), refined[1].view_as(start[1])


def ragged(wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The wanted places of each example, padded with place 0: indices (B, K) and which of them are used (B, K)."""
    counts = wanted.sum(1)
    longest = int(counts.max()) if len(counts) else 0
    # a stable sort puts the wanted places first, in order
    index = wanted.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :longest]
    used = torch.arange(longest, device=wanted.device) < counts[:, None]
    return torch.where(used, index, torch.zeros_like(index)), used


def _row_bounds(
    chain: Chain, depth: int, index: Tensor, relaxations: list[Relaxation], x: Tensor, threat: Oracles
) -> tuple[Tensor, Tensor]:
    """Bounds of chosen outputs of block ``depth`` by the backward pass, (B, K) indices -> two of (B, K)."""
    widest = max(block.in_shape.numel() for block, _ in chain.hidden)
    step = max(1, _BLOCK // (widest * len(x)))
    sides = [_part_bounds(chain, depth, part, relaxations, x, threat) for part in torch.split(index, step, dim=1)]
    lower, upper = zip(*sides, strict=True)
    return torch.cat(lower, dim=1), torch.cat(upper, dim=1)


def _part_bounds(
    chain: Chain, depth: int, index: Tensor, relaxations: list[Relaxation], x: Tensor, threat: Oracles
) -> tuple[Tensor, Tensor]:
    block = chain.stages[depth].block
    parallel = all(relaxation.parallel for relaxation in relaxations)
    if pulls_windows(block):
        rows = unit_windows(block, index, x)
        if parallel:
            level, function, radius = descend(chain, depth, rows, relaxations)
            return parallel_bounds(chain, level, function, radius, relaxations, x, threat)
        lower, negated = (_window_bound(chain, depth, side, relaxations, x, threat) for side in (rows, rows.negated))
        return lower, -negated
    function = Rows(block.unit_rows(index, x.dtype), block.offset(x).flatten()[index])
    if parallel:
        return parallel_bounds(chain, depth, function, torch.zeros_like(function.constant), relaxations, x, threat)
    return both_bounds(chain, depth, function, relaxations, x, threat)


def _window_bound(
    chain: Chain, depth: int, rows: WindowRows, relaxations: list[Relaxation], x: Tensor, threat: Oracles
) -> Tensor:
    """Lower bounds of window rows on the input of block ``depth``, (B, K)."""
    level, function, radius = descend(chain, depth, rows, relaxations)
    return lower_bound(chain, level, function, relaxations, x, threat.support_bound) - radius
