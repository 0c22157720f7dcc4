"""The layout of a computation as a chain: affine blocks between levels of non-linear layers.

A non-linear layer's level is one more than the level of the deepest non-linear layer before it. The state behind a level holds
the outputs of its layers, and all earlier values that later parts need, which pass unchanged. So a skip connection is carried
along, and every method for chains serves every graph.
"""

from collections.abc import Iterable

import attrs
from torch import nn

from inradius import Operator
from inradius_bounds.layout.block_between import block_between
from inradius_bounds.layout.layer_chain import ChainLayer, LayerChain
from inradius_bounds.layout.parallel_layers import ParallelLayers, ParallelLayersRule
from inradius_bounds.layout.state import State
from inradius_bounds.lowering.lower import Lowered
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.network import Network
from inradius_bounds.rules.identity import IdentityRule

_IDENTITY = nn.Identity()


def chain_of(lowered: Lowered) -> LayerChain:
    """The computation as a chain of layers."""
    network = Network.of(lowered)
    return LayerChain(tuple(Layout.of(network).layers()), network)


@attrs.frozen(eq=False)
class Layout:
    """The nodes that the result is made of, in order, each with its level."""

    entry: Node
    result: Node
    level: dict[Node, int]

    @classmethod
    def of(cls, network: Network) -> "Layout":
        """The layout of a network."""
        level: dict[Node, int] = {}
        for node in network.nodes:
            level[node] = max((level[source] for source in node.sources), default=0) + node.curved
        return cls(network.entry, network.result, level)

    def layers(self) -> Iterable[ChainLayer]:
        """The layers of the chain, one for each level, and the last block."""
        source = State((self.entry,))
        for depth in range(1, self.level[self.result] + 1):
            curved = [node for node in self.level if self.level[node] == depth and node.curved]
            passing = self._passing(source, depth)
            target = State(tuple(node.sources[0] for node in curved) + tuple(passing))
            block = block_between(self.level, source, target)
            yield ChainLayer(block, _activation(target, curved, passing), tuple(curved), target)
            source = State((*curved, *passing))
        yield ChainLayer(block_between(self.level, source, State((self.result,))), None, (), State((self.result,)))

    def _passing(self, source: State, depth: int) -> list[Node]:
        """The values of the state before this level that any node behind the level is made of."""
        later = [node for node in self.level if self.level[node] > depth and node.curved]
        ends = [node.sources[0] for node in later] + [self.result]
        made = {node for end in ends for node in self._closure(end, depth)}
        return [node for node in source.nodes if node in made]

    def _closure(self, end: Node, depth: int) -> set[Node]:
        """The nodes that ``end`` is made of, down to the non-linear layers of this level and of lower ones."""
        found: set[Node] = set()
        stack = [end]
        while stack:
            node = stack.pop()
            if node in found:
                continue
            found.add(node)
            if not (node.curved and self.level[node] <= depth):
                stack += node.sources
        return found


def _activation(target: State, curved: list[Node], passing: list[Node]) -> Operator:
    layers = [node.operator for node in curved if node.operator is not None]
    if len(layers) == 1 and not passing:
        return layers[0]
    for shape in target.shapes[len(curved) :]:
        layers.append(Operator("pass", _IDENTITY, IdentityRule(), shape, shape))
    return Operator("level", ParallelLayers(target, tuple(layers)), ParallelLayersRule(), target.shape, target.shape)
