"""Recurrent layers as steps of linear maps, sigmoids and tanh, in the form that torch's documentation gives."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

# the weights of one direction of a layer: W_ih, W_hh, b_ih, b_hh, and a projection, where there are biases and a projection
Weights = Sequence[Tensor | None]
State = tuple[Tensor, ...]
Step = Callable[[Tensor, State, Weights], State]


def _lstm_step(x: Tensor, state: State, weights: Weights) -> State:
    w_x, w_h, b_x, b_h, projection = weights
    hidden, cell = state
    gates = linear(x, _given(w_x), b_x) + linear(hidden, _given(w_h), b_h)
    i, f, g, o = gates.chunk(4, dim=-1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    hidden = o.sigmoid() * cell.tanh()
    return (hidden if projection is None else linear(hidden, projection)), cell


def _gru_step(x: Tensor, state: State, weights: Weights) -> State:
    w_x, w_h, b_x, b_h, _ = weights
    (hidden,) = state
    own, other = linear(x, _given(w_x), b_x).chunk(3, dim=-1), linear(hidden, _given(w_h), b_h).chunk(3, dim=-1)
    reset, update = ((a + b).sigmoid() for a, b in zip(own[:2], other[:2], strict=True))
    new = (own[2] + reset * other[2]).tanh()
    return ((hidden - new) * update + new,)


def _plain_step(function: Callable[[Tensor], Tensor]) -> Step:
    def step(x: Tensor, state: State, weights: Weights) -> State:
        w_x, w_h, b_x, b_h, _ = weights
        return (function(linear(x, _given(w_x), b_x) + linear(state[0], _given(w_h), b_h)),)

    return step


def _given(weight: Tensor | None) -> Tensor:
    assert weight is not None
    return weight


def _layers(step: Step, states: int) -> Callable[..., Any]:
    """A recurrent layer of torch, with the arguments that its function has; NotImplemented for packed sequences."""

    def run(
        func: Any, x: Tensor, hx: Any, params: Any, has_biases: Any = None, layers: Any = None, dropout: Any = None,
        train: Any = None, both: Any = None, batch_first: Any = None, *rest: Any,
    ) -> Any:  # fmt: skip
        packed = isinstance(hx, Tensor) and not hx.is_floating_point()
        if packed or rest or (train and dropout > 0):
            return NotImplemented
        given = tuple(hx) if states > 1 else (hx,)
        rows = x.transpose(0, 1) if batch_first else x
        ways = 2 if both else 1
        groups = _grouped(list(params), has_biases, layers * ways)
        ends: list[State] = []
        for layer in range(layers):
            parts = []
            for way in range(ways):
                number = layer * ways + way
                state = tuple(part[number] for part in given)
                outputs, state = _over(step, rows, state, groups[number], backward=way == 1)
                parts.append(outputs)
                ends.append(state)
            rows = parts[0] if ways == 1 else torch.cat(parts, dim=-1)
        found = rows.transpose(0, 1) if batch_first else rows
        return (found, *(torch.stack([end[part] for end in ends]) for part in range(states)))

    return run


def _grouped(params: list[Tensor], biases: bool, count: int) -> list[Weights]:
    """The weights of each direction of each layer."""
    size = len(params) // count
    groups: list[Weights] = []
    for number in range(count):
        own: list[Tensor | None] = list(params[number * size : (number + 1) * size])
        with_bias = own if biases else [*own[:2], None, None, *own[2:]]
        groups.append([*with_bias, *[None] * (5 - len(with_bias))])
    return groups


def _over(step: Step, rows: Tensor, state: State, weights: Weights, *, backward: bool) -> tuple[Tensor, State]:
    """The hidden states along a sequence (T, ...), and the last state."""
    found = []
    places = range(rows.shape[0])
    for place in reversed(places) if backward else places:
        state = step(rows[place], state, weights)
        found.append(state[0])
    return torch.stack(found[::-1] if backward else found), state


def _cell(step: Step, states: int) -> Callable[..., Any]:
    """A recurrent cell of torch, with the arguments that its function has."""

    def run(func: Any, x: Tensor, hx: Any, *weights: Tensor | None) -> Any:
        found = step(x, tuple(hx) if states > 1 else (hx,), [*weights, *[None] * (5 - len(weights))])
        return found if states > 1 else found[0]

    return run


_tanh, _relu = _plain_step(torch.tanh), _plain_step(torch.relu)
lstm, gru, rnn_tanh, rnn_relu = _layers(_lstm_step, 2), _layers(_gru_step, 1), _layers(_tanh, 1), _layers(_relu, 1)
lstm_cell, gru_cell = _cell(_lstm_step, 2), _cell(_gru_step, 1)
rnn_tanh_cell, rnn_relu_cell = _cell(_tanh, 1), _cell(_relu, 1)
