"""A network from a graph: node after node is looked up, made a function, run with one example and with three, and kept."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from inradius.errors import InputError
from inradius.models.onnx.call import Apply, Call
from inradius.models.onnx.idioms import OWN
from inradius.models.onnx.known import (
    Known,
    batch_axis,
    constant_of,
    first_known,
    parts_apart,
    repeated,
    settled,
    spread,
)
from inradius.models.onnx.limits import MOST_HELD, MOST_NUMBERS, TooLargeError, measure
from inradius.models.onnx.network import Step
from inradius.models.onnx.node import Branch, Node
from inradius.models.onnx.operators import BROADCASTING, OPERATORS
from inradius.models.onnx.schema import check_node, check_types

Lower = Callable[[Call], Apply]

# their answer depends on shapes alone
_OF_SHAPES = ("Shape", "Size")
_TROUBLE = (
    RuntimeError,
    ValueError,
    IndexError,
    TypeError,
    KeyError,
    OverflowError,
    NotImplementedError,
    ZeroDivisionError,
)


@attrs.define(eq=False)
class Build:
    """The steps of a network so far, and what is known of the values that they make.

    ``outside``: the file has no axis of examples; ``fixed``: it says that there is one example.
    """

    outside: bool
    fixed: bool
    input_name: str
    input_dtype: torch.dtype
    stored: set[str]
    known: dict[str, Known]
    steps: list[Step] = attrs.field(factory=list)
    weights: dict[str, Tensor] = attrs.field(factory=dict)
    unlearned: set[str] = attrs.field(factory=set)
    left_out: set[str] = attrs.field(factory=set)
    made: set[str] = attrs.field(factory=set)
    held: int = 0

    def add_all(self, nodes: Sequence[Node], output: str) -> None:
        """Adds nodes, which stand in an order in which they can be computed, and forgets what is no longer needed."""
        last = {name: place for place, node in enumerate(nodes) for name in node.taken()}
        for place, node in enumerate(nodes):
            self.add(node)
            for name in {*node.taken(), *filter(None, node.outputs)} & self.known.keys():
                if last.get(name, place) == place and name not in (output, self.input_name):
                    forgotten = self.known.pop(name)
                    self.held -= forgotten.numbers if name in self.made else 0
            if self.held > MOST_HELD:
                raise InputError(
                    f"{node} asks for too much: values of more than {MOST_HELD} numbers are needed at a time"
                )

    def add(self, node: Node) -> None:
        """Adds what a node makes. Raises ``UnsupportedError`` or ``InputError`` with its name where that cannot be done."""
        self._check_names(node)
        table = OWN if node.own else OPERATORS
        if not node.own:
            check_node(node)
        if node.op == "If":
            return self._branch(node)
        if node.op not in table:
            node.refuse("is an operator that the reader does not know; the reference lists those that it does")
        given = [self.known[name] if name else None for name in node.inputs]
        if not node.own:
            check_types(node, [None if value is None else value.one.dtype for value in given])
        try:
            if node.op in _OF_SHAPES or not any(value is not None and value.varies for value in given):
                self._fold(node, given, table[node.op])
            else:
                self._step(node, table[node.op])
        except TooLargeError as error:
            raise InputError(f"{node} asks for too much: {error}") from error
        except _TROUBLE as error:
            if isinstance(error, InputError | NotImplementedError) and str(error).startswith(str(node)):
                raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{node} cannot be computed on its inputs: {reason}") from error

    def _check_names(self, node: Node) -> None:
        for name in filter(None, node.inputs):
            if name in self.left_out:
                node.refuse(f"takes {name!r}, an output that the reader leaves out")
            if name not in self.known:
                raise InputError(
                    f"{node} takes {name!r}, which nothing before it makes; allowed are values made before"
                )
        for name in filter(None, node.outputs):
            if name in self.made or name in self.known:
                raise InputError(f"{node} makes {name!r}, which is there already; allowed is a new name")
        self.made.update(filter(None, node.outputs))

    def _branch(self, node: Node) -> None:
        """Adds the branch that a constant condition chooses."""
        condition = self.known[node.inputs[0]]
        if condition.varies or condition.several is not None or condition.one.numel() != 1:
            node.refuse("branches on the numbers of examples or inputs; allowed is a constant condition")
        branch: Branch = node.attributes["then_branch" if bool(condition.one) else "else_branch"]
        if len(branch.outputs) != len(node.outputs) or not self.known.keys().isdisjoint(branch.stored):
            raise InputError(f"{node} has a branch with other outputs than its own, or names that are there already")
        self.known.update({name: Known(tensor) for name, tensor in branch.stored.items()})
        for inner_node in branch.nodes:
            self.add(inner_node)
        self.made.difference_update(node.outputs)
        for name, inner in zip(node.outputs, branch.outputs, strict=True):
            self.add(Node(node.name, "Identity", node.opset, {}, (inner,), (name,), node.file))

    def _call(self, node: Node, operands: list[Any]) -> Call:
        return Call(node, operands, self.outside, self.fixed, self.input_dtype)

    def _fold(self, node: Node, given: list[Known | None], lower: Lower) -> None:
        """Computes a node whose result does not depend on the numbers of the input."""
        runs = 1 if all(value is None or value.several is None for value in given) else 2
        found = []
        for run in range(runs):
            tensors = [None if value is None else self._inner(value, run) for value in given]
            constants = [None if tensor is None else Known(tensor) for tensor in tensors]
            call = self._call(node, [None if value is None else value.operand(False) for value in constants])
            call.outside = False
            apply = lower(call)
            tensors = [*(None if i in call.used else t for i, t in enumerate(tensors)), *call.added]
            if call.anchored:
                tensors.append(self.known[self.input_name].one)
            found.append(self._run(node, apply, tensors))
        for name, *values in zip(node.outputs, *found, strict=False):
            if name:
                self.known[name] = constant_of(values[0], values[-1])
                self.held += self.known[name].numbers

    def _inner(self, value: Known, run: int) -> Tensor:
        """The value in a run as the file shapes it."""
        return value.at(run)[0] if value.varies and self.outside else value.at(run)

    def _step(self, node: Node, lower: Lower) -> None:
        """Makes a node a step, runs it, and checks that it keeps the examples apart."""
        node = attrs.evolve(node, inputs=tuple(map(self._for_each_example, node.inputs)))
        given = [self.known[name] if name else None for name in node.inputs]
        call = self._call(node, [None if value is None else value.operand(self.outside) for value in given])
        apply = lower(call)
        names = ["" if i in call.used else name for i, name in enumerate(node.inputs)]
        for index, (name, value) in enumerate(zip(names, given, strict=True)):
            if name and value is not None and not value.varies:
                self._use(node, name, value, unlearned=index in call.unlearned)
        for number, tensor in enumerate(call.added):
            names.append(self.free_name(f"{node.outputs[0]}#{number}"))
            self.known[names[-1]] = Known(tensor)
            self.weights[names[-1]] = tensor
            if number in call.learned:
                self.stored.add(names[-1])
        if call.anchored:
            names.append(self.input_name)
        runs = [
            self._run(node, apply, [None if not name else self._passed(name, run) for name in names]) for run in (0, 1)
        ]
        for name, one, several in zip(node.outputs, *runs, strict=False):
            if name:
                self.known[name] = self._checked(node, call, one, several)
                self.held += self.known[name].numbers
        self.left_out.update(filter(None, node.outputs[len(runs[0]) :]))
        self.steps.append(Step(apply, tuple(names), tuple(node.outputs)))

    def _for_each_example(self, name: str) -> str:
        """The name of the value; for a constant that is repeated for each example, that of a step that repeats it."""
        value = self.known.get(name)
        if value is None or value.varies or value.several is None or settled(value) is not None or self.outside:
            return name
        places = repeated(value)
        if places is None:
            return name
        axis, major = places
        made = f"{name}#repeated"
        if made not in self.known:
            self.weights[name] = value.one
            self.known[made] = Known(value.one, value.several, axis, major)
            self.steps.append(
                Step(lambda x, like: spread(x, axis, major, like.shape[0]), (name, self.input_name), (made,))
            )
        return made

    def _use(self, node: Node, name: str, value: Known, *, unlearned: bool) -> None:
        """Makes a constant a weight of the network."""
        constant = settled(value)
        if constant is None:
            node.refuse(f"computes with {name!r}, which depends on the number of examples")
        self.weights[name] = constant
        if unlearned:
            self.unlearned.add(name)

    def _passed(self, name: str, run: int) -> Tensor:
        value = self.known[name]
        return value.at(run) if value.varies else self.weights[name]

    def _run(self, node: Node, apply: Apply, tensors: list[Tensor | None]) -> tuple[Tensor, ...]:
        """The outputs of a node, whose size is known before they are computed."""
        largest = math.prod(tensor.numel() for tensor in tensors if tensor is not None)
        if node.op not in BROADCASTING or largest > MOST_NUMBERS:
            measure(apply, tensors)
        with torch.no_grad():
            found = apply(*tensors)
        return found if isinstance(found, tuple) else (found,)

    def _checked(self, node: Node, call: Call, one: Tensor, several: Tensor) -> Known:
        """The shape, type and axis of examples of an output. Refuses the node where the output mixes examples."""
        axis = batch_axis(one, several)
        likely = max((operand.major for operand in call.operands if operand is not None), default=1)
        major = None
        if axis is not None and (axis == 0 or not self.outside):
            major = parts_apart(one, several, axis, call.major or likely)
        if major is None:
            node.refuse("mixes the examples of a batch; allowed is a network that computes each example by itself")
        return Known(one, several, axis, major)

    def free_name(self, name: str) -> str:
        """The name, or a longer one that no value has."""
        while name in self.known:
            name += "_"
        return name

    def learned(self) -> frozenset[str]:
        """The weights that training may change: those that the file stores, or that are made of these."""
        return frozenset((self.stored & self.weights.keys()) - self.unlearned)


def start(
    name: str, shape: tuple[int, ...], dtype: torch.dtype, *, outside: bool, fixed: bool, stored: Mapping[str, Tensor]
) -> Build:
    """A network without steps, whose input has ``shape`` for one example, and whose constants are ``stored``."""
    known = {key: Known(value) for key, value in stored.items()}
    return Build(outside, fixed, name, dtype, set(stored), {**known, name: first_known(shape, dtype)})
