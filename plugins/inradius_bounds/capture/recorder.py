"""Records the operators of torch that a model runs for a batch.

A ``TorchDispatchMode`` sees every operator below Python: overridden methods, hooks and functions come out as the operators
that they call. The input is wrapped (``Traced``), so that what depends on it is known, and cannot leave torch unseen.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from inradius import UnsupportedError
from inradius_bounds.capture.graph import Call, Graph, Kept, Value, operator_name, replaced
from inradius_bounds.capture.memory import Memory
from inradius_bounds.capture.source import place
from inradius_bounds.capture.traced import BatchSizes, Traced

_NORMS = {"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"}
# operators that read a number off a tensor
_READS = {"_local_scalar_dense", "is_nonzero", "equal", "item"}


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records what runs while it is active. ``located``: whether calls remember where they come from, which takes time."""

    def __init__(self, paths: dict[int, str], sizes: BatchSizes, *, located: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._paths, self._sizes, self._located = paths, sizes, located
        self.calls: list[Call] = []
        self.volatile = False
        self._memory = Memory()
        self._paused = False
        self._running: Any = None

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # torch would load its compiler, which takes seconds, in order to leave the recorder alone
        return False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While the block runs nothing is recorded."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    def entry(self, x: Tensor) -> Traced:
        """The input, as the model gets it."""
        # a copy, as the model may write on it
        inner = x.detach().clone()
        return self._traced(inner, Value.of(inner, varies=True))

    def _traced(self, inner: Tensor, value: Value) -> Traced:
        made = Traced(inner, value, self._sizes)
        self._memory.note(inner, value)
        return made

    def graph(self, entry: Traced, entry_value: Value, result: Traced) -> Graph:
        """What was recorded between the input and a result."""
        self._value(result)
        return Graph(entry_value, self.calls, result.value, self.volatile)

    def where(self) -> str:
        """The place in the user's code that is running."""
        return place(self._paths) if self._located else ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if self._paused:
            return func(*args, **kwargs)
        self._running = func
        varies = self._varies(args) or self._varies(kwargs)
        self._check(func, args, kwargs, varies)
        written = _written(func, args, kwargs)
        # the values are those before the operator writes on them
        values = replaced(args, self._value), replaced(kwargs, self._value)
        out = func(*replaced(args, _plain), **replaced(kwargs, _plain))
        return self._recorded(Call(func, *values, self.where()), out, args, written, varies)

    def kept(self, layer: Kept, z: Traced, out: Any) -> Any:
        """A layer that stands as one operator, with what it gave for the numbers of its input."""
        if not isinstance(out, Tensor) or not len(z.plain) or out.shape[:1] != z.plain.shape[:1]:
            raise UnsupportedError(f"{layer.path} is {layer}, whose result is no tensor with a row for each example")
        return self._recorded(Call(layer, (self._value(z),), {}, layer.path), out, (), [], True)

    def _recorded(self, call: Call, out: Any, args: Any, written: list[Any], varies: bool) -> Any:
        """Appends a call, and gives its results to the model."""
        self.calls.append(call)
        if written:
            return self._settled(call, written[0], varies)
        several = isinstance(out, tuple | list)
        found = [
            self._result(call, each, number, args, varies) for number, each in enumerate(out if several else [out])
        ]
        return type(out)(found) if several else found[0]

    def _result(self, call: Call, out: Any, number: int, args: Any, varies: bool) -> Any:
        if not isinstance(out, Tensor):
            call.results.append(None)
            return out
        same = next((each for each in _tensors(args) if _plain(each) is out), None)
        if same is not None:
            # handed on as it is
            call.results.append(self._value(same))
            return same
        value = Value.of(out, varies=varies, call=call, place=number)
        call.results.append(value)
        if varies:
            return self._traced(out, value)
        self._memory.note(out, value)
        return out

    def _settled(self, call: Call, target: Tensor, varies: bool) -> Tensor:
        """A tensor that an operator has changed in place, as the value that it is now."""
        inner = _plain(target)
        value = Value.of(inner, varies=varies, call=call)
        call.results.append(value)
        if isinstance(target, Traced):
            target.value = value
        self._memory.change(inner)
        self._memory.note(inner, value)
        return target

    def _check(self, func: Any, args: Any, kwargs: Any, varies: bool) -> None:
        """Raises ``UnsupportedError`` for what no recording of one run can stand for."""
        name = operator_name(func)
        reason = _reason(func, name, args, varies)
        if reason:
            raise UnsupportedError(f"{self.where()} uses {name} ({func}), {reason}")
        self.volatile |= name in _READS
        for target in _written(func, args, kwargs):
            if not isinstance(target, Traced):
                self._check_written(func, target, varies)

    def _check_written(self, func: Any, target: Tensor, varies: bool) -> None:
        self._value(target)
        if self._memory.given(target):
            raise UnsupportedError(
                f"{self.where()} uses {func}, which changes a tensor of the model in place; bounds know models that "
                "leave their parameters, buffers and other tensors alone"
            )
        if varies:
            raise UnsupportedError(
                f"{self.where()} uses {func}, which writes values that depend on the input into a tensor that does not; "
                "build it from its parts, for example with torch.cat"
            )

    def _varies(self, given: Any) -> bool:
        return any(isinstance(each, Traced) for each in _tensors(given))

    def _value(self, given: Any) -> Any:
        if not isinstance(given, Tensor):
            return given
        if isinstance(given, Traced):
            if not self._memory.seen(given.plain):
                raise UnsupportedError(
                    f"{self.where()} gives {self._running} a value that the model has kept from an earlier call; bounds know "
                    "models that remember nothing"
                )
            if not self._memory.current(given.plain):
                raise UnsupportedError(
                    f"{self.where()} gives {self._running} a value that was changed in place through another tensor of the "
                    "same memory; bounds know computations that make new values"
                )
            return given.value
        value = self._memory.value(given)
        if value is None:
            # one that was changed in place through another tensor is what it is now
            changed = self._memory.seen(given)
            self.volatile |= changed
            value = Value.of(given, varies=False, leaf=given.detach().clone() if changed else given)
            self._memory.note(given, value, given=not changed)
        return value


def _reason(func: Any, name: str, args: Any, varies: bool) -> str:
    """Why an operator cannot be recorded; nothing where it can."""
    tags = func.tags
    if varies and name in _READS:
        return "which reads a number off a value that depends on the input; bounds know computations that are the same every time"
    shaping = torch.Tag.dynamic_output_shape in tags or torch.Tag.data_dependent_output in tags
    # constant places give a constant shape
    fixed = name == "index" and not any(isinstance(each, Traced) for each in _tensors(args[1]))
    if varies and shaping and not fixed:
        return (
            "whose result's shape depends on values of the input; bounds know computations that are the same every time"
        )
    if torch.Tag.nondeterministic_seeded in tags:
        return "which is random; bounds need it left out"
    if varies and (torch.Tag.inplace_view in tags or any(argument.is_out for argument in func._schema.arguments)):
        return "which changes a tensor in place in a way that is not followed; bounds know computations that make new values"
    if name in _NORMS and bool(args[5]):
        return "with the statistics of the batch (training=True), which joins its examples; bounds need the running statistics"
    return ""


def _plain(given: Any) -> Any:
    return given.plain if isinstance(given, Traced) else given


def _tensors(given: Any) -> list[Tensor]:
    found: list[Tensor] = []
    replaced(given, lambda each: found.append(each) if isinstance(each, Tensor) else None)
    return found


def _written(func: Any, args: Any, kwargs: Any) -> list[Any]:
    """The tensors that an operator writes on."""
    if not func._schema.is_mutable:
        return []
    found = []
    for number, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = args[number] if number < len(args) else kwargs.get(argument.name)
            found += _tensors([given])
    return found
