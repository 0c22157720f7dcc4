"""The values that later parts of a computation need, side by side."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from inradius_bounds.lowering.node import Node


@attrs.frozen(eq=False)
class State:
    """The values that make a state. A state of one value has its shape, and any other state is flat."""

    nodes: tuple[Node, ...]

    @property
    def shapes(self) -> tuple[torch.Size, ...]:
        return tuple(node.stored for node in self.nodes)

    @property
    def shape(self) -> torch.Size:
        """The shape of a whole state of one example."""
        shapes = self.shapes
        return shapes[0] if len(shapes) == 1 else torch.Size([sum(shape.numel() for shape in shapes)])

    def split(self, state: Tensor) -> list[Tensor]:
        """The values of a batch of states, (B, *shape) -> (B, *shape of each)."""
        if len(self.nodes) == 1:
            return [state]
        parts = torch.split(state, [shape.numel() for shape in self.shapes], dim=1)
        return [part.reshape(-1, *shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def joined(self, values: Sequence[Tensor]) -> Tensor:
        """The states of these values, (B, *shape of each) -> (B, *shape)."""
        return values[0] if len(values) == 1 else torch.cat([value.reshape(len(value), -1) for value in values], dim=1)

    def split_rows(self, rows: Tensor) -> list[Tensor]:
        """Rows on a state as rows on each of its values, (B, K, *shape) -> (B, K, *shape of each)."""
        return [part.reshape(*rows.shape[:2], *part.shape[1:]) for part in self.split(rows.flatten(0, 1))]

    def joined_rows(self, parts: Sequence[Tensor]) -> Tensor:
        """Rows on the values as rows on the state, (B, K, *shape of each) -> (B, K, *shape)."""
        if len(parts) == 1:
            return parts[0]
        return torch.cat([part.reshape(*part.shape[:2], -1) for part in parts], dim=2)
