"""The recorder of the operators of torch that a model runs for a batch.

A ``TorchDispatchMode`` sees every operator below Python, so overridden methods, hooks and functions appear as the operators
that they call. The input is wrapped (``TracedTensor``). So it is known which values depend on the input, and none can leave
torch unnoticed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from inradius import UnsupportedError
from inradius_bounds.capture.batch_size import BatchSizes
from inradius_bounds.capture.graph import Graph, ModuleOperator, OperatorCall, Value, operator_name, replaced
from inradius_bounds.capture.operators import FILLED, READS, filled, is_plain, plain, reason_against, tensors, written
from inradius_bounds.capture.plain import of_another_kernel
from inradius_bounds.capture.source import place
from inradius_bounds.capture.tensor_memory import TensorMemory, storage_of
from inradius_bounds.capture.traced_tensor import TracedTensor


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the operators that run while it is active.

    ``located`` is true where calls remember their place in the user's code, which takes time. ``keeps`` is true where the
    tensors of all values that depend on the input are kept.
    """

    def __init__(self, paths: dict[int, str], sizes: BatchSizes, *, located: bool, keeps: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._paths, self._sizes, self._located, self._keeps = paths, sizes, located, keeps
        # the tensors of values that depend on the input, where they are kept
        self.numbers: dict[Value, Tensor] = {}
        self.calls: list[OperatorCall] = []
        self.volatile = False
        self._memory = TensorMemory()
        # the errors that were raised within the model; it may have caught them
        self.refusals: list[UnsupportedError] = []
        # memory on which rounded numbers or learned weights were written
        self._weighty: set[int] = set()
        self._paused = False
        self._running: Any = None

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # with True, torch would load its compiler, which takes seconds
        return False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A context in which nothing is recorded."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    def entry(self, x: Tensor) -> TracedTensor:
        """The input as the model receives it."""
        # a copy, because the model may write on it
        inner = x.detach().clone()
        value = Value.of(inner, varies=True)
        self._keep(value, inner)
        return self._traced(inner, value)

    def _keep(self, value: Value, numbers: Tensor) -> None:
        if self._keeps and value.varies:
            self.numbers[value] = numbers.clone()

    def _traced(self, inner: Tensor, value: Value) -> TracedTensor:
        made = TracedTensor(inner, value, self._sizes, self.refusals)
        self._memory.note(inner, value)
        return made

    def graph(self, entry: TracedTensor, entry_value: Value, result: TracedTensor) -> Graph:
        """The graph between the input and a result."""
        self._value(result)
        return Graph(entry_value, self.calls, result.value, self.volatile)

    def where(self) -> str:
        """The place in the user's code that is running."""
        return place(self._paths) if self._located else "the model"

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        try:
            return self._dispatched(func, args, dict(kwargs or {}))
        except UnsupportedError as error:
            # the model may catch the error and go on
            self.refusals.append(error)
            raise

    def _dispatched(self, func: Any, args: Any, kwargs: Any) -> Any:
        if self._paused or func.namespace == "profiler":
            return func(*args, **kwargs)
        self._running = func
        given = tensors((args, kwargs)) if kwargs else tensors(args)
        varies = any(isinstance(each, TracedTensor) for each in given)
        targets = written(func, args, kwargs)
        self._check(func, args, varies, targets)
        # the values are taken before the operator writes on them
        values = replaced(args, self._value), replaced(kwargs, self._value) if kwargs else kwargs
        out = func(*replaced(args, plain), **(replaced(kwargs, plain) if kwargs else kwargs))
        if varies and operator_name(func) in FILLED:
            return self._recorded(filled(func, args, kwargs, out, self.where()), out, [], [], False)
        call = OperatorCall(func, *values, self.where(), substituted=of_another_kernel())
        made = self._recorded(call, out, tensors(args) if kwargs else given, targets, varies)
        return made if func._schema.returns else None

    def kept(self, layer: ModuleOperator, z: TracedTensor, out: Any) -> Any:
        """The result of a layer that stands as one operator, recorded as such; ``out`` is its value for its input's numbers."""
        if not isinstance(out, Tensor) or not len(z.plain) or out.shape[:1] != z.plain.shape[:1]:
            raise UnsupportedError(f"{layer.path} is {layer}, whose result is no tensor with a row for each example")
        with self.paused():
            return self._recorded(OperatorCall(layer, (self._value(z),), {}, layer.path), out, [], [], True)

    def _recorded(self, call: OperatorCall, out: Any, given: list[Tensor], targets: list[Any], varies: bool) -> Any:
        """The results that the model receives for a call on tensors ``given``, which is appended to the graph."""
        self.calls.append(call)
        if targets:
            return self._settled(call, targets[0], varies)
        if not isinstance(out, tuple | list):
            return self._result(call, out, 0, given, varies)
        return type(out)([self._result(call, each, number, given, varies) for number, each in enumerate(out)])

    def _result(self, call: OperatorCall, out: Any, number: int, given: list[Tensor], varies: bool) -> Any:
        if not isinstance(out, Tensor):
            call.results.append(None)
            return out
        same = next((each for each in given if plain(each) is out), None)
        if same is not None:
            # the operator returned its argument unchanged
            call.results.append(self._value(same))
            return same
        value = Value.of(out, varies=varies, call=call, place=number, plain=not varies and is_plain(call))
        call.results.append(value)
        self._keep(value, out)
        if varies:
            return self._traced(out, value)
        self._memory.note(out, value)
        return out

    def _settled(self, call: OperatorCall, target: Tensor, varies: bool) -> Tensor:
        """A tensor that an operator has changed in place, with its new value."""
        inner = plain(target)
        value = Value.of(inner, varies=varies, call=call, plain=is_plain(call))
        self._weighty.update(() if value.plain else (storage_of(inner),))
        call.results.append(value)
        self._keep(value, inner)
        if isinstance(target, TracedTensor):
            target.value = value
        self._memory.change(inner)
        self._memory.note(inner, value)
        return target

    def _check(self, func: Any, args: Any, varies: bool, targets: list[Any]) -> None:
        """Raises ``UnsupportedError`` for an operator that no recording of one run can stand for."""
        name = operator_name(func)
        reason = reason_against(func, name, args, varies)
        if reason:
            raise UnsupportedError(f"{self.where()} uses {name} ({func}), {reason}")
        self.volatile |= name in READS
        for target in targets:
            if not isinstance(target, TracedTensor):
                self._check_written(func, target, varies)

    def _check_written(self, func: Any, target: Tensor, varies: bool) -> None:
        self._value(target)
        if self._memory.given(target):
            raise UnsupportedError(
                f"{self.where()} uses {func}, which changes a tensor of the model in place; allowed are models that "
                "leave their parameters, buffers and other tensors alone"
            )
        if varies:
            raise UnsupportedError(
                f"{self.where()} uses {func}, which writes values that depend on the input into a tensor that does not; "
                "build it from its parts, for example with torch.cat"
            )

    def _value(self, given: Any) -> Any:
        if not isinstance(given, Tensor):
            return given
        if isinstance(given, TracedTensor):
            if not self._memory.seen(given.plain):
                raise UnsupportedError(
                    f"{self.where()} gives {self._running} a value that the model has kept from an earlier call; allowed are "
                    "models that remember nothing"
                )
            if not self._memory.current(given.plain):
                raise UnsupportedError(
                    f"{self.where()} gives {self._running} a value that was changed in place through another tensor of the "
                    "same memory; allowed are computations that make new values"
                )
            return given.value
        value = self._memory.value(given)
        if value is None:
            # a tensor that was changed in place through another one becomes a new constant
            changed = self._memory.seen(given)
            if changed and not (self._memory.plain(given) and storage_of(given) not in self._weighty):
                raise UnsupportedError(
                    f"{self.where()} gives {self._running} a tensor computed from weights that was changed in place through "
                    "another tensor of the same memory; allowed are computations that make new values"
                )
            self.volatile |= changed
            leaf = given.detach().clone() if changed else given
            value = Value.of(given, varies=False, leaf=leaf, plain=not given.requires_grad)
            self._memory.note(given, value, given=not changed)
        return value
