"""Projections of a batch. Images without a choice are answered at once; the others are solved in chunks of similar size."""

from collections.abc import Callable, Iterator

import attrs
import torch
from torch import Tensor

from inradius.sets.arithmetic.precision import toward_zero
from inradius_wasserstein.projection.scaled_problem import ScaledProblem, over_pixels, scaled_problem
from inradius_wasserstein.set.moves import PixelMoves

# Numbers in the matrices of a chunk. Larger chunks leave the cache of a CPU, or the memory of another device.
_CPU = 1 << 21
_OTHER = 1 << 28

Solver = Callable[[ScaledProblem], tuple[Tensor, Tensor]]


@attrs.frozen(eq=False)
class ProjectedPoints:
    """Points of a ball (B, C, H, W), and a bound on the excess of ½‖delta − given‖² over its least value, (B,)."""

    delta: Tensor
    gap: Tensor


def by_chunks(
    solve: Solver, delta: Tensor, x: Tensor, moves: PixelMoves, budget: Tensor, cap: float | None
) -> ProjectedPoints:
    """The projections of ``delta`` by ``solve``, computed in chunks.

    ``solve`` returns the change of each reachable pixel, and the gap, both in the units of a ``ScaledProblem``.
    """
    precision = torch.float32 if x.device.type == "mps" else torch.float64
    wish, mass, spend = delta.to(precision), x.to(precision), budget.to(precision)
    change, gap = torch.zeros_like(wish), torch.zeros_like(spend)
    for rows in _chunks(wish, mass, moves, spend):
        task = scaled_problem(wish[rows], mass[rows], moves, spend[rows], cap)
        moved, missed = solve(task)
        before = task.layout.pick(mass[rows].flatten(2))
        moved = torch.maximum(moved * over_pixels(task.unit), -before)
        if cap is not None:
            moved = torch.minimum(moved, (cap - before).clamp(min=0))
        change[rows] = task.layout.spread(moved, mass[0, 0].numel()).view_as(change[rows])
        gap[rows] = missed * task.objective_unit
    return ProjectedPoints(toward_zero(change, delta.dtype), gap.to(delta.dtype))


def _chunks(delta: Tensor, x: Tensor, moves: PixelMoves, budget: Tensor) -> Iterator[Tensor]:
    free = moves.valid[:, 1:] & (moves.cost[:, 1:] <= 0)
    movable = moves.valid[:, 1:].any() & ((budget > 0) | free.any())
    rows = ((x > 0).flatten(1).any(1) & (delta != 0).flatten(1).any(1) & movable).nonzero().squeeze(1)
    sources = (x[rows] > 0).flatten(2).sum(-1).amax(-1)
    order = sources.argsort()
    rows, sizes = rows[order], sources[order].tolist()
    start = 0
    while start < len(rows):
        count = _length(sizes, start, x)
        yield rows[start : start + count]
        start += count


def _length(sizes: list[int], start: int, x: Tensor) -> int:
    """The number of examples in a chunk: matrices of sources × reachable pixels stay within the limit."""
    limit = _CPU if x.device.type == "cpu" else _OTHER
    count = 1
    while start + count < len(sizes):
        size = sizes[start + count]
        if (count + 1) * x.shape[1] * size * min(3 * size, x[0, 0].numel()) > limit:
            break
        count += 1
    return count
