"""A hash of a recorded computation: of its operators, their arguments and its constants."""

from typing import Any

import torch

from inradius.certifiers.search_states import question_hash, tensor_bytes
from inradius_bounds.capture.graph import Graph, ModuleOperator, OperatorCall, Value, values_in
from inradius_bounds.lowering.constants import NativeConstants

# operators that read what no argument holds: files, numbers beside those of a tensor in its memory, random numbers
_OUTSIDE = ("from_file", "as_strided", "rand", "normal", "bernoulli", "dropout", "multinomial", "empty", "set")


def graph_digest(graph: Graph) -> str | None:
    """The hash, the same for the same operators on the same constants.

    A graph of another computation has another hash, whatever the model's class, attributes or hooks are. None where that cannot
    be said: where a module stands for its operators, where an operator is not one of torch's own or reads what no argument
    holds, and where a constant is more than its numbers, as quantised and sparse ones are.
    """
    if graph.volatile or not all(_told_by_arguments(call) for call in graph.calls):
        return None
    writer = _Writer(graph.entry)
    with torch.no_grad():
        parts = [writer.form(graph.entry), *map(writer.call, graph.calls), writer.told(graph.result)]
    return question_hash(*parts)


def _told_by_arguments(call: OperatorCall) -> bool:
    """True where a call's operator and arguments say what it computes."""
    if isinstance(call.op, ModuleOperator) or call.op.namespace != "aten":
        return False
    leaves = [value.leaf for value in values_in((call.args, call.kwargs)) if value.leaf is not None]
    return not any(part in call.name for part in _OUTSIDE) and all(map(_plain, leaves))


def _plain(leaf: torch.Tensor) -> bool:
    """True for a dense tensor of numbers that its type says, and of no class of its own."""
    own = type(leaf) in (torch.Tensor, torch.nn.Parameter) and leaf.layout == torch.strided
    return own and not leaf.is_quantized and not leaf.is_conj() and not leaf.is_neg()


class _Writer:
    """Writes a graph down call by call; values are numbered in the order in which they come."""

    def __init__(self, entry: Value) -> None:
        self._numbers: dict[Value, int] = {entry: 0}
        self._constants = NativeConstants()

    def call(self, call: OperatorCall) -> bytes:
        arguments = self.told((call.args, call.kwargs))
        # what the model computes of constants may differ from run to run, as with the number of threads
        taken = [value for value in values_in((call.args, call.kwargs)) if not value.varies and value.leaf is None]
        numbers = [tensor_bytes(self._constants.tensor(value)) for value in taken if call.varies]
        for value in call.results:
            if value is not None:
                self._numbers[value] = len(self._numbers)
        results = b",".join(b"none" if value is None else self.form(value) for value in call.results)
        return b"|".join((str(call.op).encode(), str(call.substituted).encode(), arguments, results, *numbers))

    def form(self, value: Value) -> bytes:
        return f"{self._numbers[value]} {tuple(value.shape)} {value.dtype} {value.varies}".encode()

    def told(self, given: Any) -> bytes:
        if isinstance(given, Value):
            # a constant is told each time by its numbers
            if given.leaf is None:
                return self.form(given)
            return f"leaf {given.leaf.stride()} ".encode() + tensor_bytes(given.leaf)
        if isinstance(given, torch.Tensor):
            return b"tensor " + tensor_bytes(given)
        if isinstance(given, dict):
            return b"{" + b",".join(str(name).encode() + b":" + self.told(given[name]) for name in given) + b"}"
        if isinstance(given, tuple | list):
            return type(given).__name__.encode() + b"(" + b",".join(map(self.told, given)) + b")"
        return f"{type(given).__name__} {given!r}".encode()
