"""Cholesky factors of symmetric positive definite matrices, whole ones or those with few diagonals."""

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Numbers = NDArray[np.floating]


@attrs.frozen(eq=False)
class WholeFactor:
    """Factors of whole matrices, (B, S, S), one call for all of them on their device."""

    factor: Tensor

    def solve(self, right: Tensor) -> Tensor:
        """M⁻¹ r, (B, S) -> (B, S)."""
        return torch.cholesky_solve(right.unsqueeze(-1), self.factor).squeeze(-1)


@attrs.frozen(eq=False)
class BandFactor:
    """Factors as LAPACK keeps them, one for each matrix; None for a matrix that is not definite, whose answers are NaN."""

    factors: list[Numbers | None]

    def solve(self, right: Tensor) -> Tensor:
        """M⁻¹ r, (B, S) -> (B, S)."""
        from scipy.linalg import lapack

        solver = lapack.dpbtrs if right.dtype == torch.float64 else lapack.spbtrs
        answer = right.numpy().copy()
        for row, factor in zip(answer, self.factors, strict=True):
            row[:] = np.nan if factor is None else solver(factor, row, lower=1)[0]
        return torch.from_numpy(answer)


@attrs.frozen(eq=False)
class Whole:
    """What matrices have off their diagonals: ``upper`` (B, S, S), 0 on and below the diagonal."""

    upper: Tensor

    def sums(self) -> Tensor:
        """The sum of each row without its diagonal, (B, S)."""
        return self.upper.sum(-1) + self.upper.sum(-2)

    def cholesky(self, diagonal: Tensor) -> WholeFactor:
        """The factors with the given diagonals (B, S)."""
        matrix = self.upper.mT.contiguous()
        matrix.diagonal(dim1=-2, dim2=-1).copy_(diagonal)
        return WholeFactor(torch.linalg.cholesky_ex(matrix)[0])


@attrs.frozen(eq=False)
class Band:
    """What matrices have off their diagonals, within ``width`` of them, on a CPU.

    numbers: behind ``width`` rows of zeros, ``size`` rows for each matrix; a row holds the entries from the diagonal on,
    width + 1 of them, and 0 for the diagonal and for what would be beyond the end of the matrix.
    """

    numbers: Tensor
    width: int
    size: int

    @classmethod
    def empty(cls, batch: int, size: int, width: int, dtype: torch.dtype) -> "Band":
        """Zeros."""
        return cls(torch.zeros((width + batch * size) * (width + 1), dtype=dtype), width, size)

    @property
    def rows(self) -> Tensor:
        """The matrices' rows, (B, S, width + 1)."""
        return self.numbers[self.width * (self.width + 1) :].view(-1, self.size, self.width + 1)

    def sums(self) -> Tensor:
        """The sum of each row without its diagonal, (B, S)."""
        rows = self.rows
        # what stands left of the diagonal of a row, from the rows before it
        left = self.numbers.as_strided((rows[..., 0].numel(), self.width), (self.width + 1, self.width), self.width)
        return rows.sum(-1) + left.sum(-1).view(rows.shape[:2])

    def cholesky(self, diagonal: Tensor) -> BandFactor:
        """The factors with the given diagonals (B, S), in the place of these numbers."""
        from scipy.linalg import lapack

        rows = self.rows
        rows[..., 0] = diagonal
        factor = lapack.dpbtrf if rows.dtype == torch.float64 else lapack.spbtrf
        found = (factor(each.T, lower=1, overwrite_ab=1) for each in rows.numpy())
        return BandFactor([None if failed else part for part, failed in found])
