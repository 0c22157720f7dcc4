"""Products of many directions with a few rows."""

import torch
from torch import Tensor

from inradius.arithmetic.bits import stored
from inradius.arithmetic.outward import above, smallest
from inradius.arithmetic.sums import depth, runs, share
from inradius.arithmetic.underflow import recovered


def paired(c: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """⟨c, row⟩ and a bound on its error, without gradient, (B, K, n), (r, n) -> two (B, K, r).

    The rows may be of a wider type. The error is 0 where every product is.
    """
    size, dtype, few = rows.shape[-1], c.dtype, smallest(c.dtype)
    present = stored(rows)
    # what rounding may take from each product, and what may be lost of a row that is rounded to the type of c
    grain = (rows.abs() * share(depth(size) + 6, dtype) + few) * present
    error = c.detach().abs() @ grain.to(dtype).mT
    lost = (4 * size + 2 * rows.abs().sum(-1)).clamp(max=torch.finfo(dtype).max).to(dtype) * few
    raised = error * above(1 + share(size + 4, dtype), dtype) + lost

    def moved(still: Tensor) -> Tensor:
        example, direction, row = still.nonzero(as_tuple=True)
        return (stored(c)[example, direction] & present[row]).any(-1)

    return _in_runs(c, rows.to(dtype)), recovered(error, raised, moved)


def _in_runs(c: Tensor, rows: Tensor) -> Tensor:
    """⟨c, row⟩, each added as a ``total`` is."""
    size = rows.shape[-1]
    run, count = runs(size)
    whole = run * count
    left, right = (part[..., :whole].reshape(*part.shape[:-1], count, run) for part in (c, rows))
    found: Tensor = torch.einsum("bkgm,rgm->bkrg", left, right).sum(-1)
    return found if whole == size else found + c[..., whole:] @ rows[:, whole:].mT
