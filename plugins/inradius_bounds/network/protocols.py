"""Interfaces between the bounds of values and the bounds of their rounding errors, which need each other."""

from typing import Protocol

from torch import Tensor

from inradius_bounds.box import Box
from inradius_bounds.lowering.node import Node


class ReferenceValues(Protocol):
    """The numbers from which values are counted."""

    def value(self, node: Node) -> Tensor:
        """The reference of a node in float64, (B, *shape)."""
        ...


class NodeBounds(Protocol):
    """Bounds of the values of a network's nodes, for inputs x (B, *S)."""

    x: Tensor

    @property
    def about(self) -> ReferenceValues | None:
        """The references from which values are counted; None where they are counted from 0."""
        ...

    @property
    def end(self) -> Node:
        """The node at which backward passes end."""
        ...

    def known(self, node: Node) -> Box | None:
        """The box of a node, two of (B, *shape), where it is already computed; else None."""
        ...

    def box(self, node: Node) -> Box:
        """The box of a node whose sources have boxes, two of (B, *shape)."""
        ...

    def around(self, node: Node) -> Box:
        """The box of a node's value minus its reference, two of (B, *shape)."""
        ...

    def constant(self, node: Node) -> Tensor | None:
        """The constant term of a node's value as an affine function of earlier values, (1, *shape); None for 0."""
        ...

    def handed(self, node: Node) -> Tensor | None:
        """The constant passed to the node's successors, (1, *shape); None for 0, and at ``Network.paying_nodes``."""
        ...


class Float64Bounds(Protocol):
    """The bounds of a network's values in float64."""

    x: Tensor
    noise: Tensor | None

    def box(self, node: Node) -> Box:
        """The box of a node whose sources have boxes, two of (B, *shape)."""
        ...

    def select(self, index: Tensor) -> "Float64Bounds":
        """The bounds for the chosen examples."""
        ...
