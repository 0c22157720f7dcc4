"""Products with a matrix of which few numbers are not 0, for gradients as well."""

from typing import Any

import attrs
import torch
from torch import Tensor

# a matrix with fewer numbers than this share is stored without zeros
_SPARSE = 0.04


@attrs.frozen(eq=False)
class FewNumbers:
    """A matrix (n, m), as it is or without its zeros. In that form its transpose is stored too, which gradients need."""

    matrix: Tensor
    transpose: Tensor | None

    @classmethod
    def of(cls, matrix: Tensor) -> "FewNumbers":
        """The matrix in the form in which products are faster."""
        if int(matrix.count_nonzero()) >= _SPARSE * matrix.numel():
            return cls(matrix.contiguous(), None)
        return cls(matrix.to_sparse().coalesce(), matrix.T.to_sparse().coalesce())

    def behind(self, rows: Tensor) -> Tensor:
        """rows @ matrix, (D, n) -> (D, m)."""
        if self.transpose is None:
            return rows @ self.matrix
        found: Tensor = _Product.apply(rows, self.matrix, self.transpose)  # type: ignore[no-untyped-call]
        return found


class _Product(torch.autograd.Function):
    # the gradient that torch has for a sparse matrix is slower than that for a dense one

    @staticmethod
    def forward(ctx: Any, rows: Tensor, matrix: Tensor, transpose: Tensor) -> Tensor:
        ctx.matrix = matrix
        return _times(transpose, rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _times(ctx.matrix, gradient), None, None


def _times(columns: Tensor, rows: Tensor) -> Tensor:
    """rows @ columnsᵀ, for a sparse matrix."""
    found: Tensor = torch.sparse.mm(columns, rows.T.contiguous())
    return found.T
