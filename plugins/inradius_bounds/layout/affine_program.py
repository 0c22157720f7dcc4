"""The affine part of a computation between two levels of non-linear layers, as one affine layer on states."""

from collections import Counter

import attrs
from torch import Tensor

from inradius import LayerRule, Operator
from inradius_bounds.box import Box
from inradius_bounds.layout.state import State
from inradius_bounds.lowering.node import Node


@attrs.frozen(eq=False)
class AffineProgram:
    """Affine steps from one state to the next."""

    source: State
    steps: tuple[Node, ...]
    target: State

    def __call__(self, state: Tensor) -> Tensor:
        known = dict(zip(self.source.nodes, self.source.split(state), strict=True))
        for step in self.steps:
            known[step] = step.value(*(known[node] for node in step.sources))
        return self.target.joined([known[node] for node in self.target.nodes])

    def interval(self, lower: Tensor, upper: Tensor) -> Box:
        """Bounds of the next state over a box of states, step by step, two of (B, *out)."""
        boxes = zip(self.source.split(lower), self.source.split(upper), strict=True)
        known: dict[Node, Box] = dict(zip(self.source.nodes, boxes, strict=True))
        for step in self.steps:
            known[step] = step.interval(*(known[node] for node in step.sources))
        found = [known[node] for node in self.target.nodes]
        return self.target.joined([box[0] for box in found]), self.target.joined([box[1] for box in found])

    def magnitude(self, bound: Tensor) -> Tensor:
        """Bounds on the sizes of all numbers that are added up on the way, step by step, (B, *in) -> (B, *out)."""
        known = dict(zip(self.source.nodes, self.source.split(bound), strict=True))
        for step in self.steps:
            known[step] = step.magnitude(*(known[node] for node in step.sources))
        return self.target.joined([known[node] for node in self.target.nodes])

    def adjoint(self, rows: Tensor) -> Tensor:
        """The rows times the linear part, (B, K, *out) -> (B, K, *in), from the last step to the first."""
        found: dict[Node, Tensor] = {}
        for node, part in zip(self.target.nodes, self.target.split_rows(rows), strict=True):
            _collect(found, node, part)
        for step in reversed(self.steps):
            own = found.pop(step, None)
            if own is None:
                continue
            for node, part in zip(step.sources, step.adjoint(own), strict=True):
                _collect(found, node, part)
        shapes = zip(self.source.nodes, self.source.shapes, strict=True)
        return self.source.joined_rows(
            [found[node] if node in found else rows.new_zeros(*rows.shape[:2], *shape) for node, shape in shapes]
        )

    @property
    def terms(self) -> int:
        """The most roundings that one number of the next state adds up, with a few more for each step's interval."""
        return max(1, sum(_terms(step) + 4 for step in self.steps))

    @property
    def fan(self) -> int:
        """The most rows that one number of the state before adds up."""
        return sum(_fan(step) + len(step.sources) for step in self.steps) + max(Counter(self.target.nodes).values())

    @property
    def exact(self) -> bool:
        """True if ``interval`` is exact: before each number at most one step adds numbers up, and none adds up several values."""
        mixed = dict.fromkeys(self.source.nodes, 0)
        for step in self.steps:
            mixed[step] = max(mixed[node] for node in step.sources) + _mixes(step)
            if len(step.sources) > 1 and _mixes(step):
                return False
        return all(mixed[node] <= 1 for node in self.target.nodes)


class AffineProgramRule(LayerRule):
    """The passage of bounds through a program: step by step, forward and backward."""

    affine = True

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> Box:
        found: Box = op.module.interval(lower, upper)
        return found

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        pulled: Tensor = op.module.adjoint(rows)
        return pulled

    def magnitude(self, op: Operator, bound: Tensor) -> Tensor:
        size: Tensor = op.module.magnitude(bound)
        return size

    def terms(self, op: Operator) -> int:
        return int(op.module.terms)

    def fan(self, op: Operator) -> int:
        return int(op.module.fan)

    def exact(self, op: Operator) -> bool:
        return bool(op.module.exact)


def _collect(found: dict[Node, Tensor], node: Node, rows: Tensor) -> None:
    found[node] = found[node] + rows if node in found else rows


def _mixes(step: Node) -> bool:
    return step.join.adds if step.join is not None else step.required_operator.rule.mixes(step.required_operator)


def _terms(step: Node) -> int:
    return step.join.terms if step.join is not None else step.required_operator.rule.terms(step.required_operator)


def _fan(step: Node) -> int:
    return step.join.fan if step.join is not None else step.required_operator.rule.fan(step.required_operator)
