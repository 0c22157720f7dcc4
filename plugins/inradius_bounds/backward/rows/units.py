"""Rows that each have one non-zero entry."""

from typing import Any

import attrs
import torch
from torch import Tensor

from inradius import Operator
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.windows import Geometry, WindowRows
from inradius_bounds.lowering.node import Node
from inradius_bounds.steps.join import Added


@attrs.frozen(eq=False)
class UnitRows:
    """Rows factor · (number ``index`` of the value), with flat indices (B, K) and factors (B, K), or None for 1."""

    index: Tensor
    factor: Tensor | None
    dtype: torch.dtype
    # the pixels in images, by the number of pixels
    places: dict[int, Tensor] = attrs.field(factory=dict)

    @property
    def shape(self) -> torch.Size:
        """(B, K)."""
        return self.index.shape

    def seen(self, values: Tensor) -> Tensor:
        """The entries of ``values`` (B or 1, *shape) at the rows' indices, (B, K)."""
        return values.flatten(1).expand(len(self.index), -1).gather(1, self.index)

    def over(self, values: Tensor) -> Tensor:
        """⟨row, values⟩, (B, K)."""
        found = self.seen(values)
        return found if self.factor is None else found * self.factor

    def sizes(self) -> "UnitRows":
        """The rows' absolute values."""
        return self if self.factor is None else attrs.evolve(self, factor=self.factor.abs())

    def wide(self) -> "UnitRows":
        """The rows in float64."""
        factor = None if self.factor is None else self.factor.double()
        return attrs.evolve(self, factor=factor, dtype=torch.float64)

    def times(self, factor: float) -> "UnitRows":
        """The rows times a number."""
        if factor == 1:
            return self
        whole = torch.full(self.shape, factor, dtype=self.dtype, device=self.index.device)
        return attrs.evolve(self, factor=whole if self.factor is None else self.factor * factor)

    def dense(self, shape: torch.Size) -> DenseRows:
        """The same functions as rows over the whole value, (B, K, *shape)."""
        rows = torch.zeros(*self.shape, shape.numel(), dtype=self.dtype, device=self.index.device)
        own = torch.ones(self.shape, dtype=self.dtype, device=self.index.device) if self.factor is None else self.factor
        return DenseRows(rows.scatter(2, self.index[..., None], own[..., None]).view(*self.shape, *shape))

    def select(self, index: Tensor) -> "UnitRows":
        """The rows of the chosen examples."""
        return UnitRows(self.index[index], None if self.factor is None else self.factor[index], self.dtype)

    def doubled(self) -> "UnitRows":
        """The rows, followed by their negatives."""
        own = torch.ones(self.shape, dtype=self.dtype, device=self.index.device) if self.factor is None else self.factor
        return UnitRows(self.index.repeat(1, 2), torch.cat([own, -own], dim=1), self.dtype)

    def place(self, shape: torch.Size) -> Tensor:
        """The flat pixels of the rows' indices in an image (C, H, W), without the channel, (B, K)."""
        area = shape[1] * shape[2]
        if area not in self.places:
            self.places[area] = self.index % area
        return self.places[area]

    def windows(self, shape: torch.Size) -> WindowRows:
        """The same functions as windows of one pixel of an image (C, H, W)."""
        area = shape[1] * shape[2]
        channel = torch.nn.functional.one_hot(self.index // area, shape[0]).to(self.dtype)
        rows = channel if self.factor is None else channel * self.factor[..., None]
        return WindowRows(rows[:, :, None, None], Geometry((shape[1], shape[2])), self.place(shape))

    def spread(self, shape: torch.Size) -> "WindowRows | DenseRows":
        """The same functions as windows or dense rows, whichever takes less memory."""
        return self.windows(shape) if len(shape) == 3 and shape[1] * shape[2] > 1 else self.dense(shape)

    def through(self, node: Node) -> list[tuple[Node, Any]]:
        """The rows on each source of an affine node, times its linear part."""
        if isinstance(node.join, Added):
            return [
                (source, self.times(factor)) for source, factor in zip(node.sources, node.join.factors, strict=True)
            ]
        op = node.operator
        if op is None:
            return self.dense(node.stored).through(node)
        return [(node.sources[0], self._pulled(op))]

    def _pulled(self, op: Operator) -> "UnitRows | WindowRows | DenseRows":
        if op.rule.elementwise and op.in_shape.numel() == op.out_shape.numel():
            scale = op.rule.adjoint(op, torch.ones(1, 1, *op.out_shape, dtype=self.dtype, device=self.index.device))
            return attrs.evolve(self, factor=self.over(scale[:, 0]))
        if op.rule.window(op) is not None:
            area = op.out_shape[1] * op.out_shape[2]
            windows = op.rule.unit_windows(op, self.index // area, self.dtype)
            windows = windows if self.factor is None else windows * self.factor[..., None, None, None]
            grid = (op.out_shape[1], op.out_shape[2])
            unit = WindowRows(windows.permute(0, 1, 3, 4, 2), Geometry(grid), self.place(op.out_shape))
            found = unit.pulled(op, windows)
            return found if found.small(op.in_shape) else found.dense(op.in_shape)
        return self._rows(op)

    def _rows(self, op: Operator) -> DenseRows:
        same = self.index.stride(0) == 0
        rows = op.rule.unit_rows(op, self.index[:1] if same else self.index, self.dtype)
        rows = rows.expand(len(self.index), *rows.shape[1:]) if same else rows
        return DenseRows(
            rows if self.factor is None else rows * self.factor.view(*self.shape, *(1,) * len(op.in_shape))
        )
