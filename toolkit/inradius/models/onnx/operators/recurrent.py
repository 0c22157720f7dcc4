"""Recurrent layers, with their gates in torch's order."""

from collections.abc import Callable
from typing import Any

import attrs
import torch
from torch import Tensor
from torch.nn import functional as F

from inradius.models.onnx.call import Apply, Call
from inradius.models.onnx.operators.broadcast import unflattened

# the places of torch's gates among those of the standard
_ORDER = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
_ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


@attrs.frozen(eq=False)
class _Layer:
    """A layer: its number of directions, if the only one is from the end, and if it has biases."""

    hidden: int
    both: bool
    turned: bool
    biased: bool
    stated: bool


def _layer(call: Call) -> _Layer:
    """The layer of a node. Adds its weights: for each direction those of the input, of the state, and both biases."""
    op, x = call.node.op, call.operand(0)
    direction = call.choose("direction", "forward", ("forward", "reverse", "bidirectional"))
    ways = 2 if direction == "bidirectional" else 1
    if call.outside or x.rank != 3 or x.batch != 1 or call.attribute("layout", 0):
        call.refuse("takes sequences whose second axis is not that of the examples")
    for name in ("clip", "input_forget", "activation_alpha", "activation_beta"):
        if call.attribute(name):
            call.refuse(f"has {name}, which torch's layer has not")
    if [a.lower() for a in call.attribute("activations", _activations(call) * ways)] not in (
        [a.lower() for a in _activations(call) * ways],
    ):
        call.refuse(f"has other activations than {', '.join(_activations(call))}")
    if call.has(4) and set(call.numbers(4)) != {x.shape[0]}:
        call.refuse("has sequences of different lengths")
    if call.has(7):
        call.refuse("has peepholes, which torch's layer has not")
    weight, state = call.static(1), call.static(2)
    hidden = int(call.attribute("hidden_size", state.shape[-1]))
    gates = len(_ORDER[op])
    if weight.shape != (ways, gates * hidden, x.shape[2]) or state.shape != (ways, gates * hidden, hidden):
        call.refuse(f"has weights of shapes {tuple(weight.shape)} and {tuple(state.shape)} for {hidden} numbers")
    biases = call.static(3) if call.has(3) else None
    if biases is not None and biases.shape != (ways, 2 * gates * hidden):
        call.refuse(f"has biases of shape {tuple(biases.shape)}")
    for way in range(ways):
        parts = [weight[way], state[way], *(() if biases is None else biases[way].chunk(2))]
        for part in parts:
            pieces = part.chunk(gates)
            call.add(torch.cat([pieces[place] for place in _ORDER[op]]), learned=True)
    return _Layer(hidden, ways == 2, direction == "reverse", biases is not None, call.has(5) or call.has(6))


def _activations(call: Call) -> list[str]:
    """The activations that torch's layer has."""
    if call.node.op == "RNN" and str((call.attribute("activations") or ["Tanh"])[0]).lower() == "relu":
        return ["Relu"]
    return _ACTIVATIONS[call.node.op]


def _state(given: Tensor | None, x: Tensor, layer: _Layer) -> Tensor:
    """The first state of each example: that of the node, or zeros."""
    ways = 2 if layer.both else 1
    if given is None:
        return torch.zeros(ways, x.shape[1], layer.hidden, dtype=x.dtype, device=x.device)
    return given if given.shape[1] == x.shape[1] else given.expand(-1, x.shape[1], -1)


def _ordered(found: Tensor, layer: _Layer) -> Tensor:
    """Outputs as the standard has them, with the directions behind the steps."""
    found = found.flip(0) if layer.turned else found
    return unflattened(found, 2, (2 if layer.both else 1, layer.hidden)).transpose(1, 2)


def _lower(run: Callable[..., tuple[Tensor, ...]], states: int) -> Callable[[Call], Apply]:
    def lower(call: Call) -> Apply:
        """A layer of one or both directions, with its last states."""
        layer, inputs = _layer(call), len(call.operands)

        def apply(x: Tensor, *rest: Any) -> tuple[Tensor, ...]:
            given = [*rest[4 : inputs - 1], None, None][:states]
            weights = list(rest[inputs - 1 :])
            first = [_state(state, x, layer) for state in given]
            found, *last = run(x.flip(0) if layer.turned else x, first, weights, layer)
            return (_ordered(found, layer), *last)

        return apply

    return lower


def _lstm(x: Tensor, first: list[Tensor], weights: list[Tensor], layer: _Layer) -> tuple[Tensor, ...]:
    return torch.lstm(x, first, weights, layer.biased, 1, 0.0, False, layer.both, False)


def _gru(x: Tensor, first: list[Tensor], weights: list[Tensor], layer: _Layer) -> tuple[Tensor, ...]:
    return torch.gru(x, first[0], weights, layer.biased, 1, 0.0, False, layer.both, False)


def _tanh(x: Tensor, first: list[Tensor], weights: list[Tensor], layer: _Layer) -> tuple[Tensor, ...]:
    return torch.rnn_tanh(x, first[0], weights, layer.biased, 1, 0.0, False, layer.both, False)


def _relu(x: Tensor, first: list[Tensor], weights: list[Tensor], layer: _Layer) -> tuple[Tensor, ...]:
    return torch.rnn_relu(x, first[0], weights, layer.biased, 1, 0.0, False, layer.both, False)


def _early_gru(x: Tensor, first: list[Tensor], weights: list[Tensor], layer: _Layer) -> tuple[Tensor, ...]:
    """A GRU that resets the state before its product, step by step, as torch has none."""
    count = len(weights) // (2 if layer.both else 1)
    found, last = [], []
    for way, start in enumerate(first[0].unbind(0)):
        own, turned, state = weights[way * count : (way + 1) * count], way == 1, start
        steps = []
        for row in (x.flip(0) if turned else x).unbind(0):
            state = _early_step(row, state, own)
            steps.append(state)
        found.append(torch.stack(steps[::-1] if turned else steps))
        last.append(state)
    return torch.cat(found, -1), torch.stack(last)


def _early_step(x: Tensor, state: Tensor, weights: list[Tensor]) -> Tensor:
    of_input, of_state, *biases = weights
    bias_x, bias_h = biases if biases else (None, None)
    reset_x, update_x, new_x = F.linear(x, of_input, bias_x).chunk(3, -1)
    *gates, last = of_state.chunk(3)
    *gate_biases, last_bias = (None,) * 3 if bias_h is None else bias_h.chunk(3)
    reset_h, update_h = (F.linear(state, w, b) for w, b in zip(gates, gate_biases, strict=True))
    reset, update = torch.sigmoid(reset_x + reset_h), torch.sigmoid(update_x + update_h)
    new = torch.tanh(new_x + F.linear(reset * state, last, last_bias))
    return (state - new) * update + new


def _gru_layer(call: Call) -> Apply:
    """A GRU that resets the state behind its product, as torch's does, or before it."""
    return _lower(_gru if call.attribute("linear_before_reset", 0) else _early_gru, 1)(call)


def _rnn_layer(call: Call) -> Apply:
    """A plain recurrent layer with tanh or ReLU."""
    return _lower(_relu if _activations(call) == ["Relu"] else _tanh, 1)(call)


RECURRENT: dict[str, Callable[[Call], Apply]] = {"LSTM": _lower(_lstm, 2), "GRU": _gru_layer, "RNN": _rnn_layer}
