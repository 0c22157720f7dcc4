"""Maxima over windows as one step: its planes, the numbers that need rows, and the bounds of networks with it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import inradius
from inradius import Certifier, Property, ThreatModel
from inradius_bounds.backward import inner_bounds
from inradius_bounds.backward.inner_bounds import relax_curves, undecided
from inradius_bounds.backward.maximum_planes import MaximumPlanes
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.units import UnitRows
from inradius_bounds.capture.trace import pooled_network_of
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rounding import Rounding
from inradius_bounds.steps.window_maximum import WindowMaximum

F32, F64 = torch.float32, torch.float64
SETTINGS = settings(max_examples=40, deadline=None, derandomize=True)
CASES = {
    "size": st.sampled_from([(2, 2), (3, 1), (1, 2), (3, 3)]),
    "clipped": st.booleans(),
    "seed": st.integers(0, 10**6),
}


def convolutions(order, kernel=2):
    """Two convolutions, each with a maximum over windows behind or before its ReLU, or without one."""
    torch.manual_seed(0)

    def block(inputs, outputs):
        pool = nn.MaxPool2d(kernel)
        parts = {"relu first": [nn.ReLU(), pool], "relu last": [pool, nn.ReLU()], "no relu": [pool]}[order]
        return [nn.Conv2d(inputs, outputs, 3, 1, 1), *parts]

    side = 12 // kernel**2
    return nn.Sequential(*block(1, 3), *block(3, 4), nn.Flatten(), nn.Linear(4 * side * side, 5))


def values_of(size, clipped, seed, dtype=F64, eps=0.3):
    """The bounds of a network that is a maximum over windows of its inputs, and the inputs."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 2, 6, 6, generator=generator, dtype=F64).to(dtype)
    layers = [nn.MaxPool2d(size), nn.ReLU()] if clipped else [nn.MaxPool2d(size)]
    threat = inradius.make(f"linf(eps={eps}, bounds=None)", ThreatModel)
    network = pooled_network_of(nn.Sequential(*layers, nn.Flatten()), x, threat)
    return ValueBounds(network, x, threat, Rounding(dtype)), x


@SETTINGS
@given(**CASES, dtype=st.sampled_from([F32, F64]))
def test_the_planes_lie_below_and_above_the_maximum(size, clipped, seed, dtype):
    with torch.no_grad():
        values, x = values_of(size, clipped, seed, dtype)
        node = next(each for each in values.network.nodes if each.product is not None)
        assert isinstance(node.product, WindowMaximum)
        assert node.product.clipped == clipped
        found = MaximumPlanes.of(values, node)
        low, high = values.box(node.sources[0])
        draw = torch.rand(200, *x.shape, generator=torch.Generator().manual_seed(seed), dtype=F64)
        # also corners
        draw[100:] = draw[100:].round()
        for z in low.double() + (high.double() - low.double()) * draw:
            value = node.product(z)
            below = node.product.total((found.slope.double() - found.lean.double()) * z)
            above = node.product.total((found.slope.double() + found.lean.double()) * z)
            owed = found.owed.double()
            assert bool((below + found.offset.double() - found.band.double() - owed <= value).all())
            assert bool((above + found.offset.double() + found.band.double() + owed >= value).all())


@SETTINGS
@given(**CASES)
def test_a_number_that_is_surely_the_largest_is_passed_unchanged(size, clipped, seed):
    with torch.no_grad():
        values, _ = values_of(size, clipped, seed, eps=1e-4)
        node = next(each for each in values.network.nodes if each.product is not None)
        found = MaximumPlanes.of(values, node)
        low, high = values.box(node.sources[0])
        some = undecided(values, node.sources[0], (low, high))
        decided = ~node.product.split(some.to(F64)).bool().any(-1)
        assert bool(decided.any())
        assert not bool(found.lean[~some & (found.slope == 0)].any())
        assert float(found.band[decided].abs().max()) < 1e-12
        assert bool((node.product.split(found.lean)[decided] == 0).all())


@pytest.mark.parametrize("order", ["relu first", "relu last", "no relu"])
@pytest.mark.parametrize("spec", ["linf(eps=0.05)", "l2(eps=0.4)"])
@pytest.mark.parametrize("dtype", [F32, F64])
def test_no_member_of_the_set_is_below_the_bounds(order, spec, dtype):
    net, threat = convolutions(order).to(dtype).eval(), inradius.make(spec, ThreatModel)
    x = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(1), dtype=F64).to(dtype)
    y = net(x).argmax(1)
    rows = Property.margins(y, 5, dtype=dtype)
    bounds = inradius.make("crown()", Certifier)(net, x, y, threat)
    pairs = inradius.make("alpha(steps=1)", Certifier)(net, x, y, threat)
    for certifier in ("pgd(steps=20, restarts=2)", "apgd(steps=20)"):
        attack = inradius.make(certifier, inradius.Attack)
        delta = attack(net, x, y, threat).delta
        assert bool((rows.values(net(x + delta)) >= bounds.lower - bounds.error).all())
    # a maximum by pairs has more planes, and the whole distance from the margins at x is hardly shorter
    clean = rows.values(net(x)).detach()
    assert float((clean - bounds.lower).mean()) <= 1.3 * float((clean - pairs.lower).mean())


def test_the_order_of_a_relu_and_a_maximum_changes_nothing():
    first, last = convolutions("relu first"), convolutions("relu last")
    x, threat = torch.rand(2, 1, 12, 12, dtype=F64), inradius.make("linf(eps=0.05)", ThreatModel)
    found = [
        inradius.make("crown()", Certifier)(net.double().eval(), x, torch.tensor([0, 1]), threat).lower
        for net in (first, last)
    ]
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("clipped", [False, True])
def test_numbers_that_are_decided_need_no_rows(clipped, monkeypatch):
    """The bounds are those with rows for all numbers before a maximum."""
    net = convolutions("relu first" if clipped else "no relu").double().eval()
    x, threat = torch.rand(2, 1, 12, 12, dtype=F64), inradius.make("linf(eps=0.02)", ThreatModel)
    counts, rows_of = [], inner_bounds._row_bounds

    def counted(before, node, index):
        counts[-1] += index.shape[1]
        return rows_of(before, node, index)

    monkeypatch.setattr(inner_bounds, "_row_bounds", counted)
    found = []
    for mask in (WindowMaximum.undecided, lambda self, low, high: high > low):
        monkeypatch.setattr(WindowMaximum, "undecided", mask)
        counts.append(0)
        found.append(inradius.make("crown()", Certifier)(net, x, torch.tensor([0, 1]), threat).lower)
    # tighter boxes of other numbers may still choose other planes
    assert bool((found[0] <= found[1] + 1e-3).all())
    assert counts[0] < counts[1]


def test_windows_of_rows_are_dense_rows():
    with torch.no_grad():
        values, x = values_of((2, 2), True, 7)
        relax_curves(values)
        node = next(each for each in values.network.nodes if each.product is not None)
        found = MaximumPlanes.of(values, node)
        index = torch.arange(node.stored.numel()).expand(len(x), -1)
        units = UnitRows(index, None, F64)
        windows = found.product_rows(found.form(units, node.stored).doubled())
        dense = found.product_rows(DenseRows(units.dense(node.stored).rows).doubled())
        whole = windows.functions[0].dense(node.sources[0].stored)
        torch.testing.assert_close(whole.rows, dense.functions[0].rows, rtol=0, atol=0)
        torch.testing.assert_close(windows.constant, dense.constant, rtol=1e-12, atol=1e-12)


def test_overlapping_and_large_windows_are_made_by_pairs():
    x = torch.rand(1, 1, 12, 12)
    for pool in (nn.MaxPool2d(3, 2), nn.MaxPool2d(4), nn.MaxPool2d(2, 2, 1), nn.MaxPool2d(5)):
        assert not pooled_network_of(nn.Sequential(pool, nn.Flatten()).eval(), x).products
