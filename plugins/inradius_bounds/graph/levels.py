"""A captured computation laid out as a chain: affine programs between levels of non-linear layers.

A non-linear layer's level is one more than that of the deepest non-linear layer before it. The state behind a level holds
what its layers give and whatever earlier values later parts still need, which pass by unchanged: a skip connection is
carried along, and every method for chains serves every graph.
"""

from collections.abc import Iterable
from weakref import ref

import attrs
import torch
from torch import Tensor, fx, nn

from inradius import InputError, LayerRule, Operator, UnsupportedError
from inradius_bounds.block import AffineBlock
from inradius_bounds.graph.capture import EXAMPLES, Capture
from inradius_bounds.graph.program import Program, ProgramRule, State
from inradius_bounds.graph.segments import Segments, SegmentsRule
from inradius_bounds.rules.identity import IdentityRule
from inradius_bounds.stage import Chain, Stage

_IDENTITY = nn.Identity()


def captured_chain(model: nn.Module, x: Tensor, rules: dict[type[nn.Module], LayerRule]) -> Chain:
    """The chain of states that ``model`` is for inputs like ``x`` (B, *S).

    Raises ``UnsupportedError`` where its computation cannot be captured, or does not come out as the model's own.
    """
    sample = _sample(x)
    graph = Capture(rules, sample).captured(model)
    layout = Layout.of(model, graph, rules)
    chain = Chain(tuple(layout.stages()))
    _compare(model, chain, sample)
    return chain


@attrs.frozen(eq=False)
class Layout:
    """The nodes that depend on the input, each with its level."""

    model: nn.Module
    graph: fx.Graph
    entry: fx.Node
    result: fx.Node
    level: dict[fx.Node, int]

    @classmethod
    def of(cls, model: nn.Module, graph: fx.Graph, rules: dict[type[nn.Module], LayerRule]) -> "Layout":
        """The layout of a captured graph."""
        entries = [node for node in graph.nodes if node.op == "placeholder"]
        if len(entries) != 1:
            raise UnsupportedError(f"{type(model).__name__} has {len(entries)} inputs; bounds know models of one")
        result = graph.output_node().args[0]
        if not isinstance(result, fx.Node) or not _depends(result):
            raise UnsupportedError(f"{type(model).__name__} does not give logits that depend on its input alone")
        level: dict[fx.Node, int] = {}
        for node in _needed(result):
            if not _depends(node):
                continue
            if _joins(node.meta["known"]):
                raise UnsupportedError(
                    f"{node.meta.get('path', node.name)} of {type(model).__name__} joins the examples of a batch; bounds know "
                    "computations that keep them apart"
                )
            before = [level[other] for other in node.all_input_nodes if other in level]
            level[node] = max(before, default=0)
            if isinstance(node.target, nn.Module):
                _place(node, rules)
                level[node] += not node.meta["operator"].rule.affine
        return cls(model, graph, entries[0], result, level)

    def stages(self) -> Iterable[Stage]:
        """The stages, one for each level."""
        source = State((self.entry,))
        for depth in range(1, self.level[self.result] + 1):
            curved = [node for node in self.level if self.level[node] == depth and _is_curved(node)]
            passing = self._passing(source, depth)
            target = State(tuple(_input(node) for node in curved) + tuple(passing))
            block = self._block(source, target)
            yield Stage(block, _activation(target, curved, passing))
            source = State((*curved, *passing))
        yield Stage(self._block(source, State((self.result,))), None)

    def _passing(self, source: State, depth: int) -> list[fx.Node]:
        """Values of the state before that anything behind this level is made of."""
        later = [node for node in self.level if self.level[node] > depth and _is_curved(node)]
        ends = [_input(node) for node in later] + [self.result]
        made = {node for end in ends for node in self._closure(end, depth)}
        return [node for node in source.nodes if node in made]

    def _closure(self, end: fx.Node, depth: int) -> set[fx.Node]:
        """What ``end`` is made of, down to the non-linear layers of this level and of those below."""
        found: set[fx.Node] = set()
        stack = [end]
        while stack:
            node = stack.pop()
            if node in found or node not in self.level:
                continue
            found.add(node)
            if not (_is_curved(node) and self.level[node] <= depth):
                stack += node.all_input_nodes
        return found

    def _block(self, source: State, target: State) -> AffineBlock:
        """The affine part from one state to the next: plain layers where it is a chain of those, else a program."""
        steps = self._steps(source, target)
        plain = self._plain(source, steps, target)
        if plain is not None:
            return AffineBlock(plain, source.shape, target.shape)
        program = Program(ref(self.model), source, tuple(steps), target)
        op = Operator("program", program, ProgramRule(), source.shape, target.shape)
        return AffineBlock((op,), source.shape, target.shape)

    def _steps(self, source: State, target: State) -> list[fx.Node]:
        """The nodes between two states, in order."""
        needed: set[fx.Node] = set()
        stack = list(target.nodes)
        while stack:
            node = stack.pop()
            if node in needed or node in source.nodes or node not in self.level:
                continue
            needed.add(node)
            stack += node.all_input_nodes
        return [node for node in self.level if node in needed]

    @staticmethod
    def _plain(source: State, steps: list[fx.Node], target: State) -> tuple[Operator, ...] | None:
        if len(source.nodes) > 1 or len(target.nodes) > 1:
            return None
        if any("operator" not in step.meta for step in steps):
            return None
        path = [*source.nodes, *steps]
        if any(step.all_input_nodes != [before] for before, step in zip(path, steps, strict=False)):
            return None
        return tuple(step.meta["operator"] for step in steps)


def _activation(target: State, curved: list[fx.Node], passing: list[fx.Node]) -> Operator:
    layers = [node.meta["operator"] for node in curved]
    if len(layers) == 1 and not passing:
        only: Operator = layers[0]
        return only
    for shape in target.shapes[len(curved) :]:
        layers.append(Operator("pass", _IDENTITY, IdentityRule(), shape, shape))
    return Operator("level", Segments(target, tuple(layers)), SegmentsRule(), target.shape, target.shape)


def _place(node: fx.Node, rules: dict[type[nn.Module], LayerRule]) -> None:
    """Gives a layer's node its operator."""
    module = node.target
    kind = next(kind for kind in type(module).__mro__ if kind in rules)
    shapes = _input(node).meta["known"].shape[1:], node.meta["known"].shape[1:]
    node.meta["operator"] = Operator(node.meta["path"], module, rules[kind], *shapes)


def _input(node: fx.Node) -> fx.Node:
    return node.all_input_nodes[0]


def _is_curved(node: fx.Node) -> bool:
    return "operator" in node.meta and not node.meta["operator"].rule.affine


def _depends(node: fx.Node) -> bool:
    return node.op == "placeholder" or bool(node.meta.get("varying", False))


def _needed(result: fx.Node) -> list[fx.Node]:
    """The nodes that the result is made of, in order."""
    found: set[fx.Node] = set()
    stack = [result]
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack += node.all_input_nodes
    return [node for node in result.graph.nodes if node in found]


def _joins(known: object) -> bool:
    """Whether a value for the examples traced with has no axis of its own for them."""
    return not isinstance(known, tuple | list) and (
        not isinstance(known, Tensor) or known.ndim < 1 or len(known) != EXAMPLES
    )


def _sample(x: Tensor) -> Tensor:
    """Two different examples of the shape of ``x``."""
    if not len(x):
        raise InputError("a computation cannot be captured without an example; give at least one input")
    first = x[:1].detach()
    return torch.cat([first, first * 0.75 + 0.125])


@torch.no_grad()
def _compare(model: nn.Module, chain: Chain, sample: Tensor) -> None:
    """Raises ``UnsupportedError`` where the chain does not compute what the model does."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand((3, *sample.shape[1:]), generator=generator, dtype=torch.float64).to(sample)
    for inputs in (sample, sample[:1] + noise, sample[1:]):
        if not chain.agrees(model, inputs):
            raise UnsupportedError(
                f"the captured computation of {type(model).__name__} gives other values than the model; values changed in place, "
                "or a path that depends on values or on the number of examples, cannot be bounded"
            )
