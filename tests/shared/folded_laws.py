"""Laws of boxes that hold their rounding errors from the start, at numbers for which rounding is as large as it may be.

As in ``rounding_laws``: a sum of 1 and of many 0.99 u stays 1 where it is added up in order, and small numbers are flushed.
"""

import contextlib
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from exact_fractions import flushing
from rounding_laws import AROUND, COUNT, F32, F64, LEAST, NEAR, Net, exact, in_order, linear, losing, ones, values_of
from torch import nn

from inradius_bounds.rounding import tiny, unit
from inradius_bounds.rules import linear as linear_rule
from inradius_bounds.steps import product


@contextlib.contextmanager
def linear_in_order():
    """A context in which products with a matrix are added up one by one, from the bias on."""

    def run(z, weight, bias=None):
        first = (
            torch.zeros(len(z), len(weight), 1, dtype=z.dtype) if bias is None else bias.expand(len(z), -1)[..., None]
        )
        return in_order(torch.cat([first, z[:, None] * weight], 2))

    with pytest.MonkeyPatch.context() as patch:
        for module in (linear_rule, product):
            patch.setattr(module, "F", type("Functions", (), {**vars(F), "linear": staticmethod(run)}))
        yield


def _network(weight, bias=None):
    layer = linear(weight)
    if bias is not None:
        layer.bias = nn.Parameter(torch.tensor([bias], dtype=weight.dtype))
    return nn.Sequential(nn.ReLU(), layer)


def _box(model, inputs, *, run=None, flush=False):
    """The box of a model's last node, over the box of its ReLU, as fractions; None for an end that is no number."""
    low, _ = inputs
    with linear_in_order(), flushing() if flush else contextlib.nullcontext():
        values, nodes = values_of(model, torch.zeros_like(low), run=run)
        values.boxes[nodes[1]] = inputs
        box = values.box(nodes[-1])
    return [None if bool(side.isnan().any()) else side.double() for side in box]


def _contains(box, *numbers):
    low, high = box
    for number in numbers:
        assert low is None or (Fraction(float(low)) if bool(low.isfinite()) else float(low)) <= number
        assert high is None or number <= (Fraction(float(high)) if bool(high.isfinite()) else float(high))


def products_lose(bias=False):
    """The sums of the middle and of the half width lose all but the first number, which may be the bias."""
    weight, count = losing(1, COUNT), COUNT
    if bias:
        weight, count = weight[:, 1:], COUNT - 1
        _contains(_box(_network(weight, 1.0), (ones(1, count), ones(1, count))), exact(losing(COUNT)).sum())
        return
    _contains(_box(_network(weight), (torch.zeros(1, count), 2 * ones(1, count))), 0, 2 * exact(weight).sum())


def executions_lose(bias=False):
    """An execution in a shorter type loses all but the first number."""
    weight = losing(1, COUNT).double()
    weight, first = (weight[:, 1:], 1.0) if bias else (weight, None)
    point = ones(*weight.shape, dtype=F64)
    _contains(_box(_network(weight, first), (point, point), run=F32), 1, exact(losing(COUNT)).sum())


def products_underflow():
    """All products are flushed."""
    point = torch.full((1, COUNT), NEAR)
    _contains(_box(_network(torch.full((1, COUNT), 0.5)), (point, point), flush=True), COUNT * Fraction(NEAR) / 2)


def executions_underflow(kind):
    """An execution in a shorter type flushes all products, or takes each weight for 0."""
    weight, z = (0.5, NEAR) if kind == "products" else (0.99 * LEAST, 1000.0)
    point = torch.full((1, COUNT), z, dtype=F64)
    found = _box(_network(torch.full((1, COUNT), weight, dtype=F64)), (point, point), run=F32)
    _contains(found, 0, COUNT * Fraction(weight) * Fraction(z))


def widths_underflow():
    """The width of a small box is flushed, and a large weight follows."""
    low, high = torch.full((1, 1), LEAST), torch.full((1, 1), 1.5 * LEAST)
    weight = torch.full((1, 1), 1e30)
    ends = [exact(weight).item() * exact(end).item() for end in (low, high)]
    _contains(_box(_network(weight), (low, high), flush=True), *ends)


def weights_underflow():
    """A weight that is computed from two is flushed, and large inputs follow."""
    small, scale, large = torch.tensor(1e-30), torch.tensor(1e-9), torch.tensor(1e37)
    model = Net(lambda m, z: m.layer(z.relu()) * m.scale, layer=linear(small.view(1, 1)), scale=scale)
    point = large.view(1, 1)
    numbers = [exact(each).item() for each in (small, scale, large)]
    _contains(_box(model, (point, point), flush=True), np.prod(numbers))


def middles_overflow(bias=False):
    """The sum of a middle overflows on its way, which the half width does not show."""
    weights, first = ([1e37, -1e37], 3.39e38) if bias else ([3e38, 3e38, -3e38, -3e38], None)
    weight = torch.tensor([weights])
    model, point = _network(weight, first), ones(1, len(weights))
    _contains(_box(model, (point, point)), 0 if first is None else exact(model[1].bias).item())


def executions_overflow():
    """An execution in a shorter type overflows."""
    weight, point = torch.tensor([[3e38, 3e38, -3e38, -3e38]], dtype=F64), ones(1, 4, dtype=F64)
    low, high = _box(_network(weight), (point, point), run=F32)
    assert low is None or bool(low.isinf())
    assert high is None or bool(high.isinf())


def sums_are_rounded(kind):
    """The sum of two values is rounded, or flushed."""
    first, second = (ones(1, 1), torch.full((1, 1), 0.99 * unit(F32)))
    if kind == "flushed":
        first, second = torch.full((1, 1), 1.9 * LEAST), torch.full((1, 1), -tiny(F32))
    with flushing() if kind == "flushed" else contextlib.nullcontext():
        values, nodes = values_of(Net(lambda m, z: torch.sigmoid(z) + torch.tanh(z)), torch.zeros(1, 1), AROUND)
        for node, point in zip(nodes[1:3], (first, second), strict=True):
            values.boxes[node] = (point, point)
        box = [side.double() for side in values.box(nodes[3])]
    _contains(box, exact(first).item() + exact(second).item())
