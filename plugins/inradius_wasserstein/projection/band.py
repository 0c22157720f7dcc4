"""Cholesky factors of symmetric positive definite matrices, dense ones and banded ones."""

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Numbers = NDArray[np.floating]


@attrs.frozen(eq=False)
class WholeFactor:
    """The Cholesky factors of dense matrices, (B, S, S)."""

    factor: Tensor

    def solve(self, right: Tensor) -> Tensor:
        """M⁻¹ r, (B, S) -> (B, S)."""
        return torch.cholesky_solve(right.unsqueeze(-1), self.factor).squeeze(-1)


@attrs.frozen(eq=False)
class BandFactor:
    """Cholesky factors of banded matrices in LAPACK's format. A matrix that is not definite has None, and NaN for answers."""

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
    """Dense symmetric matrices without their diagonals. upper: their entries above the diagonal, else 0, (B, S, S)."""

    upper: Tensor

    def sums(self) -> Tensor:
        """The sum of each row without its diagonal, (B, S)."""
        return self.upper.sum(-1) + self.upper.sum(-2)

    def cholesky(self, diagonal: Tensor) -> WholeFactor:
        """The factors of the matrices with the given diagonals (B, S)."""
        matrix = self.upper.mT.contiguous()
        matrix.diagonal(dim1=-2, dim2=-1).copy_(diagonal)
        return WholeFactor(torch.linalg.cholesky_ex(matrix)[0])


@attrs.frozen(eq=False)
class Band:
    """Symmetric banded matrices without their diagonals, on a CPU: entries at most ``width`` from the diagonal.

    numbers: ``width`` rows of zeros, then ``size`` rows for each matrix. A row holds the width + 1 entries from the
    diagonal on. It holds 0 for the diagonal and for entries beyond the end of the matrix.
    """

    numbers: Tensor
    width: int
    size: int

    @classmethod
    def empty(cls, batch: int, size: int, width: int, dtype: torch.dtype) -> "Band":
        """Matrices of zeros."""
        return cls(torch.zeros((width + batch * size) * (width + 1), dtype=dtype), width, size)

    @property
    def rows(self) -> Tensor:
        """A view of the rows: the entries of each row from the diagonal on, (B, S, width + 1)."""
        return self.numbers[self.width * (self.width + 1) :].view(-1, self.size, self.width + 1)

    def sums(self) -> Tensor:
        """The sum of each row without its diagonal, (B, S)."""
        rows = self.rows
        # the entries left of the diagonal of a row, taken from the rows before it
        left = self.numbers.as_strided((rows[..., 0].numel(), self.width), (self.width + 1, self.width), self.width)
        return rows.sum(-1) + left.sum(-1).view(rows.shape[:2])

    def cholesky(self, diagonal: Tensor) -> BandFactor:
        """The factors of the matrices with the given diagonals (B, S). They overwrite the matrices."""
        from scipy.linalg import lapack

        rows = self.rows
        rows[..., 0] = diagonal
        factor = lapack.dpbtrf if rows.dtype == torch.float64 else lapack.spbtrf
        found = (factor(each.T, lower=1, overwrite_ab=1) for each in rows.numpy())
        return BandFactor([None if failed else part for part, failed in found])
