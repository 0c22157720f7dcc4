"""Bounds on the sizes of a network's numbers, and of all numbers that are added up to make them."""

import attrs
import torch
from torch import Tensor

from inradius_bounds.lowering.node import Node
from inradius_bounds.network.network import Network, mixes
from inradius_bounds.network.protocols import NodeBounds
from inradius_bounds.rounding import tiny


@attrs.define(eq=False)
class Magnitudes:
    """For each node, bounds on the sizes of its numbers. ``dtype`` is the type that bounds are computed in.

    The rounding error of a sum is at most γ times the sum of the sizes of its terms, so every error bound starts here.
    """

    network: Network
    values: NodeBounds
    dtype: torch.dtype
    _size: dict[Node, Tensor] = attrs.field(factory=dict)
    _inputs: dict[Node, Tensor] = attrs.field(factory=dict)
    _small: dict[Node, Tensor] = attrs.field(factory=dict)
    # the reach of each node, with the side of the box that it was found from
    _reach: dict[Node, tuple[Tensor, Tensor]] = attrs.field(factory=dict)

    def size(self, node: Node) -> Tensor:
        """A bound on the sum of the sizes of all numbers that are added up to make each number of the node, (B, *shape)."""
        if node not in self._size:
            self._size[node] = self._sized(node)
        return self._size[node]

    def _sized(self, node: Node) -> Tensor:
        if node is self.network.entry or node.bends:
            return self.reach(node)
        found = node.magnitude(*(self.reach(source) if mixes(node) else self.size(source) for source in node.sources))
        # the products of the magnitude may underflow themselves
        return found + (2 * counts(node)[0] + 8) * tiny(self.dtype) if node.rounds else found

    def reach(self, node: Node) -> Tensor:
        """A bound on the sizes of the node's own numbers, (B, *shape); where they have a reference, also of the reference."""
        box = self.values.box(node) if node.bends else self.values.known(node)
        if box is None:
            return self.size(node)
        known = self._reach.get(node)
        if known is None or known[0] is not box[0]:
            found, about = torch.maximum(box[0].abs(), box[1].abs()), self.values.about
            found = found if about is None else torch.maximum(found, about.value(node).abs().to(found.dtype))
            known = self._reach[node] = box[0], found
        return known[1]

    def inputs(self, node: Node) -> Tensor:
        """A bound on the sum of the sizes of all numbers that the node is made of, (B, 1, ...)."""
        if node not in self._inputs:
            found = [total(self.reach(source)) for source in node.sources]
            whole = found[0] if len(found) == 1 else torch.stack(found).sum(0)
            self._inputs[node] = whole.view(-1, *(1,) * len(node.stored))
        return self._inputs[node]

    def small_constants(self, node: Node) -> Tensor:
        """A bound on the error that constants among the subnormal numbers make, times the node's inputs, (B, 1, ...)."""
        if node not in self._small:
            self._small[node] = tiny(self.dtype) * self.inputs(node)
        return self._small[node]


def total(numbers: Tensor) -> Tensor:
    """The sum of each example's numbers, (B, *S) -> (B,)."""
    return numbers.sum(dim=tuple(range(1, numbers.ndim)))


def counts(node: Node) -> tuple[int, int]:
    """The most products that a number of an affine node adds up, and the most rows that a number of its adjoint adds up."""
    if node.counted is None:
        node.counted = _counted(node)
    return node.counted


def _counted(node: Node) -> tuple[int, int]:
    if node.product is not None:
        return node.product.terms, node.product.fan
    if node.join is not None:
        return node.join.terms, node.join.fan + len(node.sources)
    op = node.required_operator
    return op.rule.terms(op), op.rule.fan(op)
