"""Products of many directions with the same rows."""

import torch
from torch import Tensor

from inradius.sets.arithmetic.bits import stored
from inradius.sets.arithmetic.outward import above, smallest
from inradius.sets.arithmetic.sums import depth, share, total
from inradius.sets.arithmetic.underflow import recovered

# Up to so many rows a sum of products for each takes no longer than a matrix product, and is far nearer to the truth.
_FEW = 4


class Rows:
    """Rows (r, n) that directions in ``dtype`` are multiplied with; they may be of a wider type."""

    def __init__(self, rows: Tensor, dtype: torch.dtype) -> None:
        size, few = rows.shape[-1], smallest(dtype)
        self._rows, self._present = rows.to(dtype), stored(rows)
        additions = depth(size) if len(rows) <= _FEW else size
        # what rounding may take from each product, and what may be lost of a row that is rounded to a shorter type
        grain = (rows.abs() * share(additions + 6, dtype) + few) * self._present
        self._grain = grain.to(dtype).mT * above(1 + share(size + 4, dtype), dtype)
        self._lost = (4 * size + 2 * rows.abs().sum(-1)).clamp(max=torch.finfo(dtype).max).to(dtype) * few

    def paired(self, c: Tensor) -> tuple[Tensor, Tensor]:
        """⟨c, row⟩ and a bound on its error, without gradient, (B, K, n) -> two of (B, K, r).

        The error is 0 where every product is.
        """
        few = len(self._rows) <= _FEW
        found = torch.stack([total(c * row) for row in self._rows], -1) if few else c @ self._rows.mT
        error = c.detach().abs() @ self._grain
        return found, recovered(error, error + self._lost, lambda still: self._moved(c, still))

    def _moved(self, c: Tensor, still: Tensor) -> Tensor:
        example, direction, row = still.nonzero(as_tuple=True)
        return (stored(c)[example, direction] & self._present[row]).any(-1)
