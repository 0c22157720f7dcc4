"""A computation as a graph: the nodes from the input to the result, in order."""

from functools import cached_property

import attrs
import torch

from inradius_bounds.layout.block import AffineBlock
from inradius_bounds.layout.block_between import block_between
from inradius_bounds.layout.state import State
from inradius_bounds.lowering.fusing import fused
from inradius_bounds.lowering.lower import Lowered
from inradius_bounds.lowering.node import Node


@attrs.define(eq=False, slots=False)
class Network:
    """The nodes that the result is made of, each behind its sources. The first node is the input."""

    entry: Node
    result: Node
    nodes: tuple[Node, ...]
    device: torch.device
    _blocks: dict[Node, AffineBlock] = attrs.field(factory=dict)

    @classmethod
    def of(cls, lowered: Lowered) -> "Network":
        """The network of a lowered computation."""
        made = fused(in_order(lowered.result.root), lowered.constants)
        result = made[lowered.result.root]
        return cls(made[lowered.entry], result, tuple(in_order(result)), lowered.device)

    @cached_property
    def curves(self) -> tuple[Node, ...]:
        """The nodes that a non-linear layer makes, in order."""
        return tuple(node for node in self.nodes if node.curved)

    @cached_property
    def products(self) -> tuple[Node, ...]:
        """The nodes that are products of two values, in order."""
        return tuple(node for node in self.nodes if node.product is not None)

    @cached_property
    def affine(self) -> bool:
        """True if the result is an affine function of the input."""
        return self.result in self.affine_nodes

    @cached_property
    def place(self) -> dict[Node, int]:
        """The place of each node in the order."""
        return {node: place for place, node in enumerate(self.nodes)}

    @cached_property
    def uses(self) -> dict[Node, list[Node]]:
        """For each node, the nodes that are made of it, each as often as the node is among its sources."""
        found: dict[Node, list[Node]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for source in node.sources:
                found[source].append(node)
        return found

    @cached_property
    def curve_inputs(self) -> frozenset[Node]:
        """The inputs of non-linear layers and of products, over whose boxes these are relaxed."""
        return frozenset(source for node in self.nodes if node.bends for source in node.sources)

    @cached_property
    def affine_nodes(self) -> frozenset[Node]:
        """The nodes that are affine functions of the input."""
        found: set[Node] = set()
        for node in self.nodes:
            if not node.bends and all(source in found for source in node.sources):
                found.add(node)
        return frozenset(found)

    @cached_property
    def front(self) -> Node:
        """The last node that only scales the input, where every later node is made of it; the input where there is none."""
        node = self.entry
        while len(self.uses[node]) == 1 and scales(self.uses[node][0]):
            node = self.uses[node][0]
        return node

    @cached_property
    def paying_nodes(self) -> frozenset[Node]:
        """The nodes at which a backward pass adds their constants, and the rounding errors of the rows on them.

        These are maxima, where passes may end, and nodes before a step that adds numbers up. Scalings of the input are not among
        them.
        """
        found = set()
        plain = {self.entry}
        for node in self.nodes[1:]:
            if node.bends:
                continue
            if not mixes(node) and all(source in plain for source in node.sources):
                plain.add(node)
            elif node.extreme is not None or any(mixes(use) for use in self.uses[node]):
                found.add(node)
        return frozenset(found)

    @cached_property
    def executed(self) -> bool:
        """True if the steps of every node round as the model's own operators do, or more."""
        return all(node.executed and _has_ulps(node) for node in self.nodes[1:])

    def block(self, node: Node) -> AffineBlock:
        """An affine function of the input as one operator."""
        if node not in self._blocks:
            self._blocks[node] = block_between(self.nodes, State((self.entry,)), State((node,)))
        return self._blocks[node]

    @cached_property
    def widest(self) -> int:
        """The count of numbers of the largest value."""
        return max(node.stored.numel() for node in self.nodes)


def in_order(result: Node) -> list[Node]:
    """The nodes that a result is made of, each behind its sources."""
    order: dict[Node, None] = {}
    stack: list[tuple[Node, bool]] = [(result, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order[node] = None
        elif node not in order:
            stack.append((node, True))
            stack += [(source, False) for source in node.sources if source not in order]
    return list(order)


def scales(node: Node) -> bool:
    """True if each number of an affine node is made of one number of its source, and each number of the source makes one."""
    op = node.operator
    return op is not None and not node.curved and op.rule.elementwise and op.in_shape.numel() == op.out_shape.numel()


def mixes(node: Node) -> bool:
    """True if an affine node may add up several numbers of one source."""
    return node.operator is not None and not node.curved and node.operator.rule.mixes(node.operator)


def _has_ulps(node: Node) -> bool:
    """False for a curve whose rule does not say by how much an execution may miss it."""
    op = node.operator
    return op is None or op.rule.affine or op.rule.ulps(op) is not None
