"""Bounds by several relaxations in one pass, and errors that are paid for in another place, are those of the plain computation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import inradius
from inradius import Bounds, Certifier, Property, ThreatModel
from inradius_bounds.backward import curve_lines, property_bounds
from inradius_bounds.backward.certifier_bounds import narrowed
from inradius_bounds.certifiers import propagation
from inradius_bounds.rules.activations import activation_rules
from inradius_bounds.rules.functions import ExpLayer, SquareLayer

SETS = ["linf(eps=0.03)", "linf(eps=0.03, bounds=None)", "l2(eps=0.2)"]
CURVES = [
    nn.ReLU(), nn.LeakyReLU(), nn.Hardtanh(), nn.ELU(), nn.CELU(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.LogSigmoid(),
    nn.GELU(), nn.SiLU(), nn.Mish(), nn.Hardswish(), ExpLayer(), SquareLayer(),
]  # fmt: skip


class Products(nn.Module):
    """Attention without a softmax beside a product of numbers."""

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.out = nn.Linear(4, 3)

    def forward(self, x):
        a, b, c = (part(x) for part in self.parts)
        return self.out((torch.softmax(a @ b.transpose(1, 2), -1) @ c + a.relu() * c).mean(1))


def nets():
    hidden = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.GELU(), nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 3))
    images = nn.Sequential(
        nn.Conv2d(1, 4, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 5, 3), nn.Tanh(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(5, 3),
    )  # fmt: skip
    return {"hidden": hidden, "images": images}


@pytest.mark.parametrize("claim", ["real", "float"])
@pytest.mark.parametrize("spec", SETS)
@pytest.mark.parametrize("name", list(nets()))
def test_one_pass_gives_the_bounds_of_several(name, spec, claim, monkeypatch):
    torch.manual_seed(1)
    net, x = nets()[name].eval(), torch.rand(3, 1, 8, 8)
    threat, certifier = inradius.make(spec, ThreatModel), inradius.make("crown()", Certifier)
    y = net(x).argmax(1)
    together = certifier(net, x, y, threat, claim=claim)
    monkeypatch.setattr(property_bounds, "_SMALL", 0)
    alone = certifier(net, x, y, threat, claim=claim)
    torch.testing.assert_close(together.lower, alone.lower, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(together.error, alone.error, rtol=0.2, atol=1e-6)


@pytest.mark.parametrize("about", [True, False])
def test_the_errors_of_a_maximum_are_paid_once(about, monkeypatch):
    """A pass owes the same whether the rows pay at the maximum or at the curve that makes it."""
    torch.manual_seed(2)
    net, x = nets()["images"].eval(), torch.rand(2, 1, 8, 8)
    threat, certifier = inradius.make(SETS[1], ThreatModel), inradius.make("crown()", Certifier)
    monkeypatch.setattr(type(certifier), "from_reference", about)
    y = net(x).argmax(1)
    here = certifier(net, x, y, threat, claim="float")
    monkeypatch.setattr(curve_lines, "extreme_of", lambda values, node: None)
    there = certifier(net, x, y, threat, claim="float")
    torch.testing.assert_close(here.lower, there.lower, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(here.error, there.error, rtol=0.05, atol=1e-7)


@given(st.data())
def test_lines_show_what_relax_gives(data):
    """The relaxation of a rule is the same where it comes from the lines over the same box."""
    layer = data.draw(st.sampled_from(CURVES))
    rule = activation_rules()[type(layer)]
    seed = data.draw(st.integers(0, 1 << 16))
    low = 3 * torch.randn(2, 5, generator=torch.Generator().manual_seed(seed)).double()
    high = low + torch.rand(2, 5, generator=torch.Generator().manual_seed(seed + 1)).double() * data.draw(
        st.floats(0, 4)
    )
    op = inradius.Operator("", layer, rule, torch.Size([5]), torch.Size([5]))
    found, told = rule.relax(op, low, high), rule.from_lines(*rule.lines(op, low, high))
    assert told is not None
    assert told.parallel == found.parallel
    for name in ("lower_slope", "lower_offset", "upper_slope", "upper_offset"):
        torch.testing.assert_close(getattr(told, name), getattr(found, name), rtol=1e-12, atol=1e-12)


@given(st.lists(st.tuples(st.floats(-1e30, 1e30), st.floats(0, 1e20)), min_size=1, max_size=5))
def test_narrowed_bounds_prove_no_more(pairs):
    value, error = (torch.tensor(side, dtype=torch.float64)[None] for side in zip(*pairs, strict=True))
    found = narrowed(Bounds(value, error=error), torch.float32)
    assert found.value.dtype == found.error.dtype == torch.float32
    assert bool((found.value.double() - found.error.double() <= value - error).all())


@pytest.mark.parametrize("claim", ["real", "float"])
def test_small_networks_with_products_have_the_same_bounds_in_either_way(claim, monkeypatch):
    torch.manual_seed(3)
    net, x = Products().eval(), torch.randn(2, 3, 4)
    threat, certifier = inradius.make("linf(eps=0.02, bounds=None)", ThreatModel), inradius.make("crown()", Certifier)
    prop = Property.margins(net(x).argmax(1), 3)
    double = certifier(net, x, None, threat, prop=prop, claim=claim)
    assert double.lower.dtype == torch.float32
    monkeypatch.setattr(propagation, "_LARGEST", 0)
    single = certifier(net, x, None, threat, prop=prop, claim=claim)
    torch.testing.assert_close(double.lower, single.lower, rtol=1e-4, atol=1e-4)
    assert bool((double.error <= single.error + 1e-6).all())


@pytest.mark.parametrize("claim", ["real", "float"])
@pytest.mark.parametrize("spec", SETS)
@pytest.mark.parametrize("name", [*nets(), "products"])
def test_the_pass_that_stops_is_noted_on_the_way(name, spec, claim, monkeypatch):
    """Where it is, it is the pass that is made alone; a sum of two curves before the result has none."""
    torch.manual_seed(3)
    net, x = (
        (Products().eval(), torch.rand(2, 3, 4))
        if name == "products"
        else (nets()[name].eval(), torch.rand(2, 1, 8, 8))
    )
    threat, certifier = inradius.make(spec, ThreatModel), inradius.make("crown()", Certifier)
    stopped, seen = property_bounds._stopped, []

    def compared(values, prop, ended, count=1):
        found = stopped(values, prop, ended, count)
        alone = property_bounds.property_bounds(values, prop, {}, stops=True)
        seen.append([each.stopped is not None for each in ended])
        torch.testing.assert_close(found[0].value, alone.value, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(found[0].owed, alone.owed, rtol=0.01, atol=1e-9)
        return found

    monkeypatch.setattr(property_bounds, "_stopped", compared)
    certifier(net, x, net(x).argmax(1), threat, claim=claim)
    assert seen
    assert all(all(each) == (name != "products") for each in seen)
