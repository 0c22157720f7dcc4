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

    def select(self, index: Tensor) -> "Rows":
        """The functions of a part of the examples."""
        return Rows(self.rows[index], self.constant[index])

    def through_block(self, block: AffineBlock) -> "Rows":
        """The same functions of the block's input."""
        offset = block.offset(self.rows).flatten()
        return Rows(block.adjoint(self.rows), self.constant + self.rows.flatten(2) @ offset)


def below(function: Rows, relaxation: Relaxation) -> Rows:
    """Functions of a non-linear layer's input that lie below ``function`` of its output."""
    if relaxation.parallel:
        center, radius = between(function, relaxation)
        return Rows(center.rows, center.constant - radius)
    positive, negative = function.rows.clamp(min=0), function.rows.clamp(max=0)
    slopes = positive * relaxation.lower_slope[:, None] + negative * relaxation.upper_slope[:, None]
    offsets = _dot(positive, relaxation.lower_offset) + _dot(negative, relaxation.upper_offset)
    return Rows(slopes, function.constant + offsets)


def between(function: Rows, relaxation: Relaxation) -> tuple[Rows, Tensor]:
    """Functions of a layer's input and a radius (B, K): ``function`` of its output is within the radius of them.

    For parallel lines slope · z + middle ± half, a row r gives r · slope, the constant r · middle and the radius |r| · half.
    """
    middle, half = relaxation.band
    center = Rows(function.rows * relaxation.lower_slope[:, None], function.constant + _dot(function.rows, middle))
    return center, _dot(function.rows.abs(), half)


def _dot(rows: Tensor, values: Tensor) -> Tensor:
    """⟨row, values⟩, (B, K, *shape), (B, *shape) -> (B, K)."""
    return (rows.flatten(2) @ values.flatten(1)[..., None]).squeeze(2)


def lower_bound(
    chain: Chain, depth: int, function: Rows, relaxations: Sequence[Relaxation], x: Tensor, support: Support
) -> Tensor:
    """Lower bounds over Δ(x) of functions of the input of block ``depth``, (B, K)."""
    for level in range(depth - 1, -1, -1):
        function = below(function, relaxations[level]).through_block(chain.stages[level].block)
    return close(function, x) - support(-function.rows, x)


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
    radius: Tensor,
    relaxations: Sequence[Relaxation],
    x: Tensor,
    threat: Oracles,
) -> tuple[Tensor, Tensor]:
    """``both_bounds`` in one pass, for relaxations with parallel lines and functions known up to ``radius`` (B, K)."""
    for level in range(depth - 1, -1, -1):
        center, added = between(function, relaxations[level])
        function, radius = center.through_block(chain.stages[level].block), radius + added
    value = close(function, x)
    low, high = threat.span(function.rows, x)
    return value - radius + low, value + radius + high


def close(function: Rows, x: Tensor) -> Tensor:
    """The functions' values at x, (B, K)."""
    return function.constant + _dot(function.rows, x)
