"""What is asked of a network's values by those that bound their rounding."""

from typing import Protocol

from torch import Tensor

from inradius_bounds.box import Box
from inradius_bounds.lowering.node import Node


class ReferenceValues(Protocol):
    """Numbers that values are counted from."""

    def value(self, node: Node) -> Tensor:
        """Those of a node in float64, (B, *shape)."""
        ...


class NodeBounds(Protocol):
    """Bounds of values for inputs x (B, *S), so far as they are known."""

    x: Tensor

    @property
    def about(self) -> ReferenceValues | None:
        """What values are counted from; None for 0."""
        ...

    @property
    def end(self) -> Node:
        """The node at which backward passes end."""
        ...

    def known(self, node: Node) -> Box | None:
        """The box of a node, two of (B, *shape), where it was computed."""
        ...

    def box(self, node: Node) -> Box:
        """The box of a node whose sources have boxes."""
        ...

    def around(self, node: Node) -> Box:
        """The box of a node, counted as values are."""
        ...

    def constant(self, node: Node) -> Tensor | None:
        """The part of a node's value that no source of it has, (1, *shape); None for 0."""
        ...

    def handed(self, node: Node) -> Tensor | None:
        """The constant that a node hands on to those that are made of it."""
        ...


class Float64Bounds(Protocol):
    """The values of a network in float64."""

    x: Tensor
    noise: Tensor | None

    def box(self, node: Node) -> Box:
        """The box of a node whose sources have boxes."""
        ...

    def select(self, index: Tensor) -> "Float64Bounds":
        """The same for a part of the examples."""
        ...
