"""A run that follows a recording: a quicker way to tell that a model still runs the recorded operators on the same constants."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from inradius import UnsupportedError
from inradius.models.picked import picked
from inradius_bounds.capture.batch_size import BatchSizes
from inradius_bounds.capture.compare import same_leaf, same_number
from inradius_bounds.capture.graph import Graph, ModuleOperator, OperatorCall, Value
from inradius_bounds.capture.plain import plain_kernels
from inradius_bounds.capture.traced_tensor import TracedTensor

# types of arguments that are equal where their values are
_PLAIN = {int, bool, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format}


def can_follow(graph: Graph) -> bool:
    """True for a recording whose operators write on no tensor, and that stands for every run on the same constants."""
    plain = not any(isinstance(call.op, ModuleOperator) or call.op._schema.is_mutable for call in graph.calls)
    return plain and not graph.volatile


def follows(model: nn.Module, x: Tensor, graph: Graph) -> bool:
    """True if the model runs exactly the calls of a recording for x (1, *S); the caller restores the model's state.

    False says nothing: such a run is recorded and compared with ``GraphMatch``, which knows more forms of the same computation.
    """
    replay = Replay(graph)
    try:
        with torch.inference_mode(False), torch.no_grad():
            entry = replay.traced(x.detach().clone(), graph.entry)
            with plain_kernels(), replay:
                result = picked(model(entry))
    except Exception:
        # whatever it is, a recording of the run meets and explains it
        return False
    return isinstance(result, TracedTensor) and replay.ended(result)


class _OtherRunError(Exception):
    """The run has left the recording."""


class Replay(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Compares the operators that run with the calls of a recording, one by one."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._graph, self._next, self._left = graph, 0, False
        # plain tensors of the run by identity, as values and with their places in memory, which ``data = ...`` changes; they are
        # held so that no other tensor takes their place
        self._known: dict[int, tuple[Tensor, Value, Any]] = {}
        # errors that were raised within the model, which may have caught them
        self.refusals: list[UnsupportedError] = []
        self._sizes = BatchSizes(1, None)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # with True, torch would load its compiler, which takes seconds
        return False

    def traced(self, inner: Tensor, value: Value) -> TracedTensor:
        """A tensor of this run that depends on the input."""
        self._keep(inner, value)
        return TracedTensor(inner, value, self._sizes, self.refusals)

    def _keep(self, tensor: Tensor, value: Value) -> None:
        self._known[id(tensor)] = tensor, value, _lie(tensor)

    def ended(self, result: TracedTensor) -> bool:
        """True if the run has made every call and nothing else, and has this result."""
        whole = self._next == len(self._graph.calls) and result.value is self._graph.result
        return whole and not self._left and not self.refusals

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "profiler":
            return func(*args, **(kwargs or {}))
        try:
            return self._followed(func, args, kwargs or {})
        except _OtherRunError:
            # the model may catch the error and go on
            self._left = True
            raise

    def _followed(self, func: Any, args: Any, kwargs: Any) -> Any:
        calls = self._graph.calls
        call = calls[self._next] if self._next < len(calls) else None
        if call is None or not _alike(call, func, args, kwargs):
            raise _OtherRunError
        self._next += 1
        given: list[Any] = []
        own = [self._taken(mine, its, given) for mine, its in zip(call.args, args, strict=True)]
        named = {name: self._taken(call.kwargs[name], its, given) for name, its in kwargs.items()} if kwargs else kwargs
        out: Any = func(*own, **named)
        if not isinstance(out, tuple | list):
            return self._result(call, 0, out, given)
        if len(out) != len(call.results):
            raise _OtherRunError
        return type(out)([self._result(call, number, each, given) for number, each in enumerate(out)])

    def _taken(self, mine: Any, its: Any, given: list[Any]) -> Any:
        """The argument for the operator itself, where it is that of the recording; tensors are appended to ``given``."""
        kind = type(mine)
        if kind in _PLAIN or (kind is list and _PLAIN.issuperset(map(type, mine))):
            if not _same_plain(mine, its):
                raise _OtherRunError
            return its
        if isinstance(mine, Value):
            if not isinstance(its, Tensor) or not self._is(mine, its):
                raise _OtherRunError
            given.append(its)
            return its.plain if isinstance(its, TracedTensor) else its
        if isinstance(mine, tuple | list):
            if type(mine) is not type(its) or len(mine) != len(its):
                raise _OtherRunError
            return type(mine)([self._taken(each, other, given) for each, other in zip(mine, its, strict=True)])
        if isinstance(its, Tensor | dict) or not same_number(mine, its):
            raise _OtherRunError
        return its

    def _is(self, mine: Value, its: Tensor) -> bool:
        """True if a tensor is a value of the recording."""
        own = its.plain if isinstance(its, TracedTensor) else its
        known = self._known.get(id(own))
        if known is not None:
            return known[1] is mine and known[2] == _lie(own)
        # a traced tensor that is not known was kept by the model from another run
        if own is not its or mine.leaf is None or its.shape != mine.shape or its.dtype != mine.dtype:
            return False
        if not same_leaf(mine.leaf, its):
            return False
        self._keep(its, mine)
        return True

    def _result(self, call: OperatorCall, place: int, out: Any, given: list[Any]) -> Any:
        value = call.results[place]
        if not isinstance(out, Tensor) or value is None:
            if isinstance(out, Tensor) or value is not None:
                raise _OtherRunError
            return out
        if value.call is not call:
            # the operator returned its argument unchanged
            same = [each for each in given if (each.plain if isinstance(each, TracedTensor) else each) is out]
            if not same or not self._is(value, same[0]):
                raise _OtherRunError
            return same[0]
        if out.shape != value.shape or out.dtype != value.dtype:
            raise _OtherRunError
        if value.varies:
            return self.traced(out, value)
        self._keep(out, value)
        return out


def _same_plain(mine: Any, its: Any) -> bool:
    """True if a number, a name or a type, or a list of such, is the same. A truth value is not the number 0 or 1."""
    if type(its) is not type(mine) or (type(mine) is list and list(map(type, its)) != list(map(type, mine))):
        return False
    return bool(mine == its)


def _alike(call: OperatorCall, func: Any, args: Any, kwargs: Any) -> bool:
    return call.op is func and len(call.args) == len(args) and call.kwargs.keys() == kwargs.keys()


def _lie(tensor: Tensor) -> Any:
    return tensor.data_ptr(), tensor.stride()
