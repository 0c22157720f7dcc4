"""The affine part of a computation between two levels of non-linear layers, as one affine layer on states.

A state is the values that later parts need, side by side: where there is one value a state has its shape, else it is flat.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import ReferenceType

import attrs
import torch
from torch import Tensor, fx, nn

from inradius import LayerRule, Operator
from inradius_bounds.graph.affine import AffineFunction, Box, BoxPair, is_box
from inradius_bounds.graph.capture import Batch, attribute, filled

Environment = dict[fx.Node, Any]


@attrs.frozen(eq=False)
class State:
    """The values that make a state: the nodes that give them, and the shape of each for one example."""

    nodes: tuple[fx.Node, ...]

    @property
    def shapes(self) -> tuple[torch.Size, ...]:
        return tuple(node.meta["known"].shape[1:] for node in self.nodes)

    @property
    def shape(self) -> torch.Size:
        """Of a whole state of one example."""
        shapes = self.shapes
        return shapes[0] if len(shapes) == 1 else torch.Size([sum(shape.numel() for shape in shapes)])

    def split(self, state: Tensor) -> list[Tensor]:
        """The values of a batch of states, (B, *shape) -> (B, *shape of each)."""
        if len(self.nodes) == 1:
            return [state]
        parts = torch.split(state, [shape.numel() for shape in self.shapes], dim=1)
        return [part.reshape(-1, *shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def joined(self, values: Sequence[Tensor]) -> Tensor:
        """The states that these values make."""
        return values[0] if len(values) == 1 else torch.cat([value.reshape(len(value), -1) for value in values], dim=1)


@attrs.frozen(eq=False)
class Program:
    """Affine steps from one state to the next. Constants are read from the model's parameters at each call."""

    # weak, because what is kept for a model must not keep the model
    model: ReferenceType[nn.Module]
    source: State
    steps: tuple[fx.Node, ...]
    target: State

    def __call__(self, state: Tensor) -> Tensor:
        known: Environment = dict(zip(self.source.nodes, self.source.split(state), strict=True))
        for step in self.steps:
            args, kwargs = self._arguments(step, known, len(state))
            known[step] = _call(step)(*args, **kwargs)
        return self.target.joined([known[node] for node in self.target.nodes])

    def interval(self, lower: Tensor, upper: Tensor) -> Box:
        """Bounds of the next state over a box of states, step by step."""
        boxes = map(BoxPair, zip(self.source.split(lower), self.source.split(upper), strict=True))
        known: Environment = dict(zip(self.source.nodes, boxes, strict=True))
        for step in self.steps:
            args, kwargs = self._arguments(step, known, len(lower))
            known[step] = _box(step, args, kwargs)
        found = [known[node] for node in self.target.nodes]
        return self.target.joined([box[0] for box in found]), self.target.joined([box[1] for box in found])

    def _arguments(self, step: fx.Node, known: Mapping[fx.Node, Any], examples: int) -> tuple[Any, Any]:
        def fill(each: Any) -> Any:
            if isinstance(each, Batch):
                return examples
            return (known[each] if each in known else constant(self._root, each)) if isinstance(each, fx.Node) else each

        return filled(step.args, fill), filled(step.kwargs, fill)

    @property
    def _root(self) -> nn.Module:
        model = self.model()
        assert model is not None
        return model

    @property
    def terms(self) -> int:
        """How many products one number of the next state adds up, at most."""
        return max(1, sum(_terms(step) for step in self.steps))

    @property
    def exact(self) -> bool:
        """Whether ``interval`` is exact: on the way to each number at most one step adds numbers up, and none meet twice."""
        mixed = dict.fromkeys(self.source.nodes, 0)
        for step in self.steps:
            before = [node for node in step.all_input_nodes if node.meta.get("varying", False) or node in mixed]
            mixed[step] = max((mixed[node] for node in before), default=0) + _mixes(step)
            if len(before) > 1 and _mixes(step):
                return False
        return all(mixed[node] <= 1 for node in self.target.nodes)


class ProgramRule(LayerRule):
    """How bounds pass a program: its own interval, and its adjoint by differentiation."""

    affine = True

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> Box:
        found: Box = op.module.interval(lower, upper)
        return found

    def terms(self, op: Operator) -> int:
        return int(op.module.terms)

    def exact(self, op: Operator) -> bool:
        return bool(op.module.exact)


def constant(model: nn.Module, node: fx.Node) -> Any:
    """What a node that does not depend on the input is, with the model's parameters as they are now."""
    if node.op == "get_attr":
        return attribute(model, str(node.target))
    fill: Callable[[Any], Any] = lambda each: constant(model, each) if isinstance(each, fx.Node) else each  # noqa: E731
    return _call(node)(*filled(node.args, fill), **filled(node.kwargs, fill))


def _call(step: fx.Node) -> Callable[..., Any]:
    """What a step computes; every one of a captured graph is a function, none a name."""
    assert callable(step.target)
    return step.target


def _box(step: fx.Node, args: Any, kwargs: Any) -> Any:
    target = step.target
    if isinstance(target, AffineFunction):
        return target.interval(*args, **kwargs)
    if is_box(args[0]):
        return BoxPair(step.meta["operator"].rule.interval(step.meta["operator"], *args[0]))
    raise TypeError(f"{target} is no affine step")


def _mixes(step: fx.Node) -> bool:
    if isinstance(step.target, AffineFunction):
        return step.target.mixes
    return not step.meta["operator"].rule.elementwise


def _terms(step: fx.Node) -> int:
    if "operator" in step.meta:
        return int(step.meta["operator"].rule.terms(step.meta["operator"]))
    if not _mixes(step):
        return 1
    before = [node for node in step.all_input_nodes if node.op == "placeholder" or node.meta.get("varying", False)]
    sizes: list[int] = [node.meta["known"][0].numel() for node in before]
    return int(math.prod(sizes[:1])) + len(sizes)
