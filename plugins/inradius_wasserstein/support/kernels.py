"""Values, gradients and points of the support function, block by block of directions and examples."""

from collections.abc import Callable

import torch
from torch import Tensor

from inradius.sets.arithmetic.rooms import outer_room
from inradius_wasserstein.set.levels import levels
from inradius_wasserstein.set.moves import PixelMoves
from inradius_wasserstein.support.capped_support import capped_maximizer, capped_support
from inradius_wasserstein.support.support import support_point, support_value, support_with_point

# Numbers a block holds: on a CPU larger ones leave the cache.
_CPU = 1 << 20
_OTHER = 1 << 26

Kernel = Callable[[Tensor, Tensor, PixelMoves, Tensor], tuple[Tensor, ...]]


def value_kernel(cap: float | None, *, slope: bool) -> Kernel:
    """A kernel of the support function's values, and with ``slope`` of their gradients."""

    def answer(c: Tensor, x: Tensor, moves: PixelMoves, budget: Tensor) -> tuple[Tensor, ...]:
        if cap is not None:
            return capped_support(c, x, upper_room(x, cap), moves, budget)[:2]
        return support_with_point(c, x, moves, budget) if slope else (support_value(c, x, moves, budget),)

    return answer


def point_kernel(cap: float | None) -> Kernel:
    """A kernel of maximisers of ⟨c, δ⟩, with a cap of points that come near the maximum, (B, 1, n)."""

    def answer(c: Tensor, x: Tensor, moves: PixelMoves, budget: Tensor) -> tuple[Tensor, ...]:
        if cap is None:
            return (support_point(c, x, moves, budget),)
        return (capped_maximizer(c, x, (cap - x).clamp(min=0), moves, budget),)

    return answer


def upper_room(x: Tensor, cap: float) -> Tensor:
    """The mass that each pixel can still take below the cap, rounded up, in the shape of x."""
    return outer_room(x, (0.0, cap))[1]


def in_blocks(kernel: Kernel, c: Tensor, x: Tensor, moves: PixelMoves, budget: Tensor) -> tuple[Tensor, ...]:
    """The kernel's answers for directions c (B, K, n) on images x (B, n), joined from blocks of limited size."""
    batch, count, size = c.shape
    busy = int((x > 0).sum(1).max()) if x.numel() else 0
    each = max(size, busy * levels(moves).cost.shape[1])
    block = max(1, (_CPU if c.device.type == "cpu" else _OTHER) // max(1, each))
    if batch * count <= block:
        return kernel(c, x, moves, budget)
    directions = min(count, block)
    examples = max(1, block // count)
    strips = []
    for b in range(0, batch, examples):
        part = slice(b, b + examples)
        strip = [kernel(c[part, k : k + directions], x[part], moves, budget[part]) for k in range(0, count, directions)]
        strips.append(tuple(torch.cat(same, 1) for same in zip(*strip, strict=True)))
    return tuple(torch.cat(same) for same in zip(*strips, strict=True))
