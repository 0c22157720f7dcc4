"""A computation laid out as a chain: affine programs between levels of non-linear layers.

A non-linear layer's level is one more than that of the deepest non-linear layer before it. The state behind a level holds
what its layers give and whatever earlier values later parts still need, which pass by unchanged: a skip connection is
carried along, and every method for chains serves every graph.
"""

from collections.abc import Iterable

import attrs
from torch import nn

from inradius import Operator
from inradius_bounds.block import AffineBlock
from inradius_bounds.layout.program import Program, ProgramRule
from inradius_bounds.layout.segments import Segments, SegmentsRule
from inradius_bounds.layout.state import State
from inradius_bounds.lowering.lower import Lowered
from inradius_bounds.lowering.node import Node
from inradius_bounds.rules.identity import IdentityRule
from inradius_bounds.stage import Chain, Stage

_IDENTITY = nn.Identity()


def chain_of(lowered: Lowered) -> Chain:
    """The computation as a chain of states."""
    return Chain(tuple(Layout.of(lowered).stages()), lowered.device)


@attrs.frozen(eq=False)
class Layout:
    """The nodes that the result is made of, in order, each with its level."""

    entry: Node
    result: Node
    level: dict[Node, int]

    @classmethod
    def of(cls, lowered: Lowered) -> "Layout":
        """The layout of a computation."""
        level: dict[Node, int] = {lowered.entry: 0}
        for node in _in_order(lowered.result.root):
            if node.sources:
                level[node] = max(level[source] for source in node.sources) + node.curved
        return cls(lowered.entry, lowered.result.root, level)

    def stages(self) -> Iterable[Stage]:
        """The stages, one for each level."""
        source = State((self.entry,))
        for depth in range(1, self.level[self.result] + 1):
            curved = [node for node in self.level if self.level[node] == depth and node.curved]
            passing = self._passing(source, depth)
            target = State(tuple(node.sources[0] for node in curved) + tuple(passing))
            block = self._block(source, target)
            yield Stage(block, _activation(target, curved, passing))
            source = State((*curved, *passing))
        yield Stage(self._block(source, State((self.result,))), None)

    def _passing(self, source: State, depth: int) -> list[Node]:
        """Values of the state before that anything behind this level is made of."""
        later = [node for node in self.level if self.level[node] > depth and node.curved]
        ends = [node.sources[0] for node in later] + [self.result]
        made = {node for end in ends for node in self._closure(end, depth)}
        return [node for node in source.nodes if node in made]

    def _closure(self, end: Node, depth: int) -> set[Node]:
        """The nodes that ``end`` is made of, down to the non-linear layers of this level and of those below."""
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

    def _block(self, source: State, target: State) -> AffineBlock:
        """The affine part from one state to the next: plain layers where it is a chain of those, else a program."""
        steps = self._steps(source, target)
        plain = self._plain(source, steps, target)
        if plain is not None:
            return AffineBlock(plain, source.shape, target.shape)
        program = Program(source, tuple(steps), target)
        op = Operator("program", program, ProgramRule(), source.shape, target.shape)
        return AffineBlock((op,), source.shape, target.shape)

    def _steps(self, source: State, target: State) -> list[Node]:
        """The nodes between two states, in order."""
        needed: set[Node] = set()
        stack = list(target.nodes)
        while stack:
            node = stack.pop()
            if node not in needed and node not in source.nodes:
                needed.add(node)
                stack += node.sources
        return [node for node in self.level if node in needed]

    @staticmethod
    def _plain(source: State, steps: list[Node], target: State) -> tuple[Operator, ...] | None:
        if len(source.nodes) > 1 or len(target.nodes) > 1:
            return None
        path = [*source.nodes, *steps]
        if any(step.operator is None or step.sources != (before,) for before, step in zip(path, steps, strict=False)):
            return None
        return tuple(step.operator for step in steps if step.operator is not None)


def _in_order(result: Node) -> list[Node]:
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


def _activation(target: State, curved: list[Node], passing: list[Node]) -> Operator:
    layers = [node.operator for node in curved if node.operator is not None]
    if len(layers) == 1 and not passing:
        return layers[0]
    for shape in target.shapes[len(curved) :]:
        layers.append(Operator("pass", _IDENTITY, IdentityRule(), shape, shape))
    return Operator("level", Segments(target, tuple(layers)), SegmentsRule(), target.shape, target.shape)
