"""Rows over a whole value."""

from typing import Any

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.rows.dot import dot
from inradius_bounds.lowering.node import Node


@attrs.frozen(eq=False)
class DenseRows:
    """Linear functions as rows (B, K, *shape)."""

    rows: Tensor

    def select(self, index: Tensor) -> "DenseRows":
        """The rows of the chosen examples."""
        return DenseRows(self.rows[index])

    def doubled(self) -> "DenseRows":
        """The rows, followed by their negatives."""
        return DenseRows(torch.cat([self.rows, -self.rows], dim=1))

    def over(self, values: Tensor) -> Tensor:
        """⟨row, values⟩, (B, K)."""
        return dot(self.rows, values)

    def sizes(self) -> "DenseRows":
        """The rows' absolute values."""
        return DenseRows(self.rows.abs())

    def wide(self) -> "DenseRows":
        """The rows in float64."""
        return DenseRows(self.rows.double())

    def times(self, factor: float) -> "DenseRows":
        """The rows times a number."""
        return self if factor == 1 else DenseRows(-self.rows if factor == -1 else self.rows * factor)

    def dense(self, shape: torch.Size) -> "DenseRows":
        """The rows themselves."""
        return self

    def through(self, node: Node) -> list[tuple[Node, Any]]:
        """The rows on each source of an affine node, times its linear part."""
        parts = zip(node.sources, node.adjoint(self.rows), strict=True)
        return [(source, DenseRows(part)) for source, part in parts]
