"""Partial sums of executions are within their bound, and so are the errors of sums in orders that lose much."""

from fractions import Fraction

import pytest
import rounding_laws as laws
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from inradius_bounds.network.partial_sums import partial_sums

KINDS = ("linear", "behind", "convolution", "strided", "transposed")


def network(kind, generator):
    """A small network whose last layer is the one that is looked at, its input for one example, and that layer."""
    rand = lambda *shape: torch.rand(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    layer = {
        "linear": lambda: nn.Linear(12, 5),
        "behind": lambda: nn.Linear(9, 5),
        "convolution": lambda: nn.Conv2d(2, 3, 3, padding=1),
        "strided": lambda: nn.Conv2d(2, 3, 3, stride=2, groups=1, dilation=2, padding=2, bias=False),
        "transposed": lambda: nn.ConvTranspose2d(2, 3, 3, stride=2),
    }[kind]().double()
    before = [nn.Linear(12, 9).double(), nn.ReLU()] if kind == "behind" else []
    for each in (layer, *before[:1]):
        for parameter in each.parameters():
            parameter.data = (rand(*parameter.shape) - 0.5) * 10.0 ** (4 * rand(*parameter.shape) - 3)
    shape = (12,) if kind in ("linear", "behind") else (2, 5, 5)
    return nn.Sequential(*before, layer), rand(1, *shape) - 0.3, layer


def one_sign(layer, z, sign):
    """The sum of the terms of a layer at z that have this sign, of either sign as a size."""
    found = 0
    for part in (1.0, -1.0):
        weight = (part * layer.weight).clamp(min=0)
        given = (sign * part * z).clamp(min=0)
        if isinstance(layer, nn.Linear):
            found = found + nn.functional.linear(given, weight)
        else:
            call = nn.functional.conv_transpose2d if isinstance(layer, nn.ConvTranspose2d) else nn.functional.conv2d
            found = found + call(given, weight, None, layer.stride, layer.padding, dilation=layer.dilation)
    bias = layer.bias
    return found if bias is None else found + (sign * bias).clamp(min=0).view(-1, *(1,) * (z.ndim - 2))


@given(st.sampled_from(KINDS), st.integers(0, 10**6), st.sampled_from([0.0, 0.05, 0.6]))
def test_sums_of_some_terms_are_within_the_bound(kind, seed, eps):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        model, x, layer = network(kind, generator)
        values, nodes = laws.values_of(model, x, f"linf(eps={eps}, bounds=None)", run=torch.float32)
        values.find([nodes[-1]])
        bound = partial_sums(nodes[-1], values.errors.magnitudes)
        assert bound is not None
        assert bool((bound <= values.errors.magnitudes.size(nodes[-1])).all())
        signs = torch.randn(64, *x.shape[1:], generator=generator, dtype=x.dtype)
        delta = eps * torch.where(signs.abs() < 1, signs, signs.sign())
        z = model[:-1](x + delta)
        for sign in (1.0, -1.0):
            found = one_sign(layer, z, sign).amax(0).view_as(bound[0])
            assert bool((found <= bound[0] * (1 + 1e-12)).all())


@pytest.mark.parametrize("run", [torch.float32, torch.float16])
@given(seed=st.integers(0, 10**6))
def test_no_order_loses_more(run, seed):
    generator = torch.Generator().manual_seed(seed)
    count = int(torch.randint(2, 80, (), generator=generator))
    weight = torch.randn(1, count, generator=generator) * torch.rand(1, count, generator=generator) ** 8
    layer = nn.Linear(count, 1, bias=False)
    layer.weight.data = weight.to(run).double()
    x = torch.rand(1, count, generator=generator).to(run)
    values, nodes = laws.values_of(layer.double(), x.double(), run=run)
    bound = Fraction(float(values.errors.executions.affine(nodes[1])))
    products = weight.to(run)[0] * x[0]
    right = sum(Fraction(float(w)) * Fraction(float(z)) for w, z in zip(weight.to(run)[0], x[0], strict=True))
    orders = [products.sort().indices, products.sort(descending=True).indices, products.abs().sort().indices]
    orders += [products.abs().sort(descending=True).indices, torch.arange(count)]
    for order in orders:
        total = laws.in_order(products[order])
        assert abs(Fraction(float(total)) - right) <= bound
