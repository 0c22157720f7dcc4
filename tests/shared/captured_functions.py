"""Functions of a module and its input, and those that are functions of the batch, which are refused."""

import pytest
import torch
from torch import nn

import inradius
from inradius import Certifier, InputError, ThreatModel, UnsupportedError

F64 = torch.float64


class Function(nn.Module):
    """A function of the module and its input, with a few layers and weights at hand."""

    def __init__(self, function, size=3):
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        self.first, self.second, self.gate = (nn.Linear(size, size) for _ in range(3))
        self.matrix, self.score = nn.Parameter(torch.randn(size, size)), nn.Parameter(2 * torch.randn(size))
        self.register_buffer("mean", torch.randn(size))
        self.register_buffer("deviation", 0.5 + torch.rand(size))
        self.plain = torch.randn(size)
        self.calls = 0

    def forward(self, x):
        return self.function(self, x)


def logits(value):
    """Three logits of a value, none of them a sum of the others."""
    z = value.flatten(1)
    return torch.stack([z.sum(1), z[:, 0] - z[:, -1], 0.5 - z.mean(1)], dim=1)


def refused(model, x, match, name="dual()", *, input_error=False):
    with pytest.raises((UnsupportedError, InputError) if input_error else UnsupportedError, match=match):
        inradius.make(name, Certifier)(
            model, x, torch.zeros(len(x), dtype=torch.int64), inradius.make("linf(eps=0.1, bounds=None)", ThreatModel)
        )


def inputs(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def branch_on_four(m, x):
    return -m.first(x) if x.shape[0] > 4 else m.first(x)


def branch_on_a_hundred(m, x):
    return -m.first(x) if x.shape[0] > 100 else m.first(x)


def branch_on_length(m, x):
    return -m.first(x) if len(x) > 4 else m.first(x)


OF_THE_BATCH = {
    "mean": lambda m, x: m.first(x) - m.first(x).mean(0),
    "mean of two logits": lambda m, x: (m.first(x) - m.first(x).mean(0, keepdim=True))[:, :2],
    "div": lambda m, x: m.first(x) / x.shape[0],
    "mul": lambda m, x: m.first(x) * x.size(0),
    "roll": lambda m, x: m.first(x).roll(1, 0),
    "flip": lambda m, x: m.first(x).flip(0),
    "softmax": lambda m, x: torch.softmax(m.first(x), dim=0),
    "sum": lambda m, x: m.first(x) / m.first(x).square().sum(),
    "cumsum": lambda m, x: m.first(x).cumsum(0),
    "select": lambda m, x: m.first(x) + m.first(x)[0],
    "matmul": lambda m, x: m.first(x) @ (x.t() @ x),
    "gt": branch_on_four,
    "gt 100": branch_on_a_hundred,
    "gt len": branch_on_length,
    "eq 64": lambda m, x: -m.first(x) if x.shape[0] == 64 else m.first(x),
    "numel": lambda m, x: -m.first(x) if x.numel() > 1000 else m.first(x),
    "size of a value": lambda m, x: -m.first(x) if m.second(x).flatten().shape[0] > 1000 else m.first(x),
    "unbind": lambda m, x: -m.first(x) if len(x.unbind(0)) > 100 else m.first(x),
    "arange": lambda m, x: m.first(x) + torch.arange(x.shape[0], dtype=x.dtype)[:, None] / 8,
    "halves": lambda m, x: torch.cat([m.first(x[:4]), -m.first(x[4:])]),
    "max": lambda m, x: m.first(x) / m.first(x).abs().max(),
}


def functions_of_the_batch_are_refused(name, count):
    """The refusal names the operator, the line in this file, the batch or its examples."""
    function = OF_THE_BATCH[name]
    operator = name.split()[0]
    match = rf"{operator}|captured_functions\.py|batch|examples"
    if name == "mean of two logits":
        refused(Function(function).double().eval(), inputs(count, 3), match)
    else:
        refused(Function(lambda m, x: logits(function(m, x))).double().eval(), inputs(count, 3), match)
