"""The first run of a model that changes its own state, compared with later runs."""

from typing import Any

import torch
from torch import Tensor, nn

from inradius import UnsupportedError
from inradius.certifiers.certificate_in_progress import CertificateInProgress
from inradius_bounds.capture.captured import Captured
from inradius_bounds.capture.compare import GraphMatch
from inradius_bounds.capture.graph import Graph, OperatorCall, Value, replaced, values_in
from inradius_bounds.capture.module_operators import Rules
from inradius_bounds.capture.record import record
from inradius_bounds.lowering.constants import NativeConstants

# the recorded runs that follow, beside those of a capture
_LATER = 3


def first_run(model: nn.Module, x: Tensor, rules: Rules, proof: CertificateInProgress) -> Graph | None:
    """The graph of a run from the state that the model was handed over in, for the first of the inputs x (B, *S).

    The model must have that state. None where the runs so far have left it unchanged, so that every run is a first one. Later runs
    go on from the state that this one leaves.
    """
    if proof.state is None or not proof.state.changed or not len(x):
        return None
    return with_constants(record(model, x[:1], rules, located=True).graph)


def check_first_run(model: nn.Module, x: Tensor, first: Graph, found: Captured) -> None:
    """Raises ``UnsupportedError`` where the first run or a later one is another function of the input than what was captured.

    Constants may be computed in the first run and kept, so it is their numbers that are compared, not how they came about.
    """
    for _ in range(_LATER):
        later = record(model, x[:1], found.rules).graph
        call = GraphMatch(first, with_constants(later)).difference() or GraphMatch(found.graph, later).difference()
        if call is not None:
            raise UnsupportedError(
                f"{type(model).__name__} changes its own state when it runs, and with it the function that it computes: "
                f"{call.where or 'an operator'} uses {call.name} ({call.op}), which another run does not in the same way; allowed "
                "are models that run the same operators on the same constants every time, from the first run on"
            )


@torch.no_grad()
def with_constants(graph: Graph) -> Graph:
    """The calls between the input and the result of a graph; the constants that they take are given by their numbers."""
    store, known = NativeConstants(), dict[Value, Value]()

    def folded(given: Any) -> Any:
        if not isinstance(given, Value) or given.varies or given.leaf is not None:
            return given
        if given not in known:
            known[given] = Value(given.shape, given.dtype, False, leaf=store.tensor(given))
        return known[given]

    calls = [
        OperatorCall(call.op, replaced(call.args, folded), replaced(call.kwargs, folded), call.where, call.results)
        for call in _between(graph)
    ]
    return Graph(graph.entry, calls, graph.result)


def _between(graph: Graph) -> list[OperatorCall]:
    """The calls that depend on the input and that the result depends on, in order."""
    needed, found = {graph.result}, list[OperatorCall]()
    for call in reversed(graph.calls):
        if call.varies and not needed.isdisjoint(value for value in call.results if value is not None):
            found.append(call)
            needed.update(values_in((call.args, call.kwargs)))
    return found[::-1]
