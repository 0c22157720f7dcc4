"""The backward pass: linear functions of a layer bounded by linear functions of the input, closed by the support function.

A row r on the output of a layer is pulled through affine blocks exactly and through a non-linear layer by its relaxation:
for a lower bound, positive entries take the line below and negative ones the line above. Source: wong2018, zhang2018.
"""

from collections.abc import Callable, Sequence

import attrs
from torch import Tensor

from inradius import Oracles, Relaxation
from inradius_bounds.block import AffineBlock
from inradius_bounds.trace import Chain

Support = Callable[[Tensor, Tensor], Tensor]


@attrs.frozen(eq=False)
class Rows:
    """Linear functions rows · z + constant of one layer's values, (B, K, *shape) and (B, K)."""

    rows: Tensor
    constant: Tensor

    def through_block(self, block: AffineBlock) -> "Rows":
        """The same functions of the block's input."""
        offset = block.offset(self.rows).flatten()
        return Rows(block.adjoint(self.rows), self.constant + self.rows.flatten(2) @ offset)


def below(function: Rows, relaxation: Relaxation) -> Rows:
    """Functions of a non-linear layer's input that lie below ``function`` of its output."""
    rows = function.rows
    if relaxation.parallel:
        sunk = function.constant + _sunk(rows, relaxation)
        return Rows(rows * relaxation.lower_slope[:, None], sunk)
    positive, negative = rows.clamp(min=0), rows.clamp(max=0)
    slopes = positive * relaxation.lower_slope[:, None] + negative * relaxation.upper_slope[:, None]
    offsets = _dot(positive, relaxation.lower_offset) + _dot(negative, relaxation.upper_offset)
    return Rows(slopes, function.constant + offsets)


def _sunk(rows: Tensor, relaxation: Relaxation) -> Tensor:
    """What rows lose to a relaxation with parallel lines: the lower offset plus the negative part of the gap."""
    gap = relaxation.upper_offset - relaxation.lower_offset
    return _dot(rows, relaxation.lower_offset) + _dot(rows.clamp(max=0), gap)


def _dot(rows: Tensor, values: Tensor) -> Tensor:
    """⟨row, values⟩, (B, K, *shape), (B, *shape) -> (B, K)."""
    return (rows.flatten(2) @ values.flatten(1)[..., None]).squeeze(2)


def lower_bound(
    chain: Chain, depth: int, function: Rows, relaxations: Sequence[Relaxation], x: Tensor, support: Support
) -> Tensor:
    """Lower bounds over Δ(x) of functions of the input of block ``depth``, (B, K)."""
    for level in range(depth - 1, -1, -1):
        function = below(function, relaxations[level]).through_block(chain.stages[level].block)
    return _close(function, x) - support(-function.rows, x)


def both_bounds(
    chain: Chain, depth: int, function: Rows, relaxations: Sequence[Relaxation], x: Tensor, threat: Oracles
) -> tuple[Tensor, Tensor]:
    """Lower and upper bounds over Δ(x) of functions of the input of block ``depth``, two of (B, K)."""
    lower = lower_bound(chain, depth, function, relaxations, x, threat.support_bound)
    negated = Rows(-function.rows, -function.constant)
    return lower, -lower_bound(chain, depth, negated, relaxations, x, threat.support_bound)


def parallel_bounds(
    chain: Chain,
    depth: int,
    function: Rows,
    spread: Tensor,
    relaxations: Sequence[Relaxation],
    x: Tensor,
    threat: Oracles,
) -> tuple[Tensor, Tensor]:
    """``both_bounds`` in one pass, for relaxations with parallel lines; ``spread`` (B, K) is what upper has over lower.

    The lines above and below a layer differ by the gap between them, so the two bounds differ by Σ |row| · gap.
    """
    for level in range(depth - 1, -1, -1):
        relaxation = relaxations[level]
        spread = spread + _dot(function.rows.abs(), relaxation.upper_offset - relaxation.lower_offset)
        function = below(function, relaxation).through_block(chain.stages[level].block)
    center = _close(function, x)
    low, high = threat.span(function.rows, x)
    return center + low, center + spread + high


def _close(function: Rows, x: Tensor) -> Tensor:
    return function.constant + _dot(function.rows, x)
