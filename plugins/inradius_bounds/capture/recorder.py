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
from inradius_bounds.capture.batch_size import BatchSizes
from inradius_bounds.capture.compare import EXACT
from inradius_bounds.capture.graph import Call, Graph, Kept, Value, operator_name, replaced, values_in
from inradius_bounds.capture.memory import Memory, storage_of
from inradius_bounds.capture.source import place
from inradius_bounds.capture.traced import Traced

# operators that take no more than a shape from a value
_FILLED = {"zeros_like": 0.0, "ones_like": 1.0, "new_zeros": 0.0, "new_ones": 1.0, "full_like": None, "new_full": None}
_NORMS = {"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"}
# operators that read a number off a tensor
_READS = {"_local_scalar_dense", "is_nonzero", "equal", "item"}


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records what runs while it is active.

    ``located``: whether calls remember where they come from, which takes time; ``keeps``: whether the numbers of every value that
    depends on the input are kept.
    """

    def __init__(self, paths: dict[int, str], sizes: BatchSizes, *, located: bool, keeps: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._paths, self._sizes, self._located, self._keeps = paths, sizes, located, keeps
        # what the values that depend on the input were, where that is kept
        self.numbers: dict[Value, Tensor] = {}
        self.calls: list[Call] = []
        self.volatile = False
        self._memory = Memory()
        # memory that rounded numbers, or learned weights, were written on
        self._weighty: set[int] = set()
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
        value = Value.of(inner, varies=True)
        self._keep(value, inner)
        return self._traced(inner, value)

    def _keep(self, value: Value, numbers: Tensor) -> None:
        if self._keeps and value.varies:
            self.numbers[value] = numbers.clone()

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
        return place(self._paths) if self._located else "the model"

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if self._paused:
            return func(*args, **kwargs)
        self._running = func
        varies = self._varies(args) or self._varies(kwargs)
        if func.namespace == "profiler":
            return func(*args, **kwargs)
        self._check(func, args, kwargs, varies)
        written = _written(func, args, kwargs)
        # the values are those before the operator writes on them
        values = replaced(args, self._value), replaced(kwargs, self._value)
        out = func(*replaced(args, _plain), **replaced(kwargs, _plain))
        if varies and operator_name(func) in _FILLED:
            return self._recorded(_filled(func, args, kwargs, out, self.where()), out, (), [], False)
        made = self._recorded(Call(func, *values, self.where()), out, args, written, varies)
        return made if func._schema.returns else None

    def kept(self, layer: Kept, z: Traced, out: Any) -> Any:
        """A layer that stands as one operator, with what it gave for the numbers of its input."""
        if not isinstance(out, Tensor) or not len(z.plain) or out.shape[:1] != z.plain.shape[:1]:
            raise UnsupportedError(f"{layer.path} is {layer}, whose result is no tensor with a row for each example")
        with self.paused():
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
        value = Value.of(out, varies=varies, call=call, place=number, plain=_is_plain(call))
        call.results.append(value)
        self._keep(value, out)
        if varies:
            return self._traced(out, value)
        self._memory.note(out, value)
        return out

    def _settled(self, call: Call, target: Tensor, varies: bool) -> Tensor:
        """A tensor that an operator has changed in place, as the value that it is now."""
        inner = _plain(target)
        value = Value.of(inner, varies=varies, call=call, plain=_is_plain(call))
        self._weighty.update(() if value.plain else (storage_of(inner),))
        call.results.append(value)
        self._keep(value, inner)
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
            if changed and not (self._memory.plain(given) and storage_of(given) not in self._weighty):
                raise UnsupportedError(
                    f"{self.where()} gives {self._running} a tensor computed from weights that was changed in place through "
                    "another tensor of the same memory; bounds know computations that make new values"
                )
            self.volatile |= changed
            leaf = given.detach().clone() if changed else given
            value = Value.of(given, varies=False, leaf=leaf, plain=not given.requires_grad)
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


def _filled(func: Any, args: Any, kwargs: Any, out: Tensor, where: str) -> Call:
    """A constant that has its shape from a value, as one that is made without it."""
    number = _FILLED[operator_name(func)]
    if number is None:
        number = args[-1]
    kept = {"dtype": out.dtype, "device": out.device}
    return Call(torch.ops.aten.full.default, (list(out.shape), number), kept, where)


def _is_plain(call: Call) -> bool:
    """Whether a call makes constants without rounding, of constants that are so."""
    values = list(values_in((call.args, call.kwargs)))
    # whole numbers and truth values have a place in every floating-point type
    exact = call.name in EXACT or (call.name == "_to_copy" and not values[0].dtype.is_floating_point)
    return exact and all(value.plain and not value.varies for value in values)


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
