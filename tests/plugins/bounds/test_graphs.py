"""Bounds of networks that are no chain of layers: every attained value lies inside, for any graph."""

import pytest
import torch
from graph_networks import CURVES, OPERATORS, Attention, Lambda, Mixed, Pooled, RandomGraph, ResNet
from hypothesis import given, settings
from hypothesis import strategies as st
from in_turn import in_turn
from torch import nn

import inradius
from inradius import Attack, Certifier, ExampleRNG, Property, ThreatModel, UnsupportedError
from inradius.testing import check_layer_rule
from inradius_bounds.capture.trace import trace
from inradius_bounds.rules.functions import ExpLayer, ReciprocalLayer, SquareRootLayer

SETTINGS = settings(max_examples=12, deadline=None, derandomize=True)


NETWORKS = {
    "residual": (ResNet, (1, 4, 4)),
    "mixed": (Mixed, (2, 2)),
    "pooled": (Pooled, (1, 4, 4)),
    "attention": (Attention, (2, 2)),
}


def check_bounds(model, shape, spec, certifiers=("interval()", "dual()", "crown()"), seed=0):
    """No sampled or attacked value is below a bound, and the bounds are those of any batch."""
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    threat = inradius.make(spec, ThreatModel)
    with torch.no_grad():
        y = model(x).argmax(1)
    prop = Property.margins(y, model(x[:1]).shape[1], dtype=x.dtype)
    found = inradius.make("pgd(steps=8, restarts=2, objective=margin(), keep_maximising=True)", Attack)(
        model, x, y, threat
    )
    rng = ExampleRNG(seed, torch.arange(3))
    points = [found.delta, torch.zeros_like(x), *(threat.sample(x, rng=rng) for _ in range(6))]
    with torch.no_grad():
        values = torch.stack([(prop.weights @ model(x + delta)[..., None]).squeeze(2) for delta in points])
    for name in certifiers:
        lower = inradius.make(name, Certifier)(model, x, y, threat).lower
        assert bool(lower.isfinite().all()), (name, lower)
        assert bool((lower <= values + 1e-9).all()), (name, float((lower - values).max()))
        alone = inradius.make(name, Certifier)(model, x[1:2], y[1:2], threat).lower
        torch.testing.assert_close(alone, lower[1:2], rtol=1e-9, atol=1e-9)
    return lower


@pytest.mark.parametrize(("name", "spec"), in_turn([*NETWORKS], ["linf(eps=0.05)", "l2(eps=0.2)", "l1(eps=0.3)"]))
def test_networks_that_are_no_chain(name, spec):
    kind, shape = NETWORKS[name]
    torch.manual_seed(1)
    check_bounds(kind().double().eval(), shape, spec)


@SETTINGS
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 7), eps=st.sampled_from([0.01, 0.1, 0.3]))
def test_random_graphs(seed, steps, eps):
    check_bounds(RandomGraph(seed, steps).double().eval(), (1, 4), f"linf(eps={eps}, bounds=None)", seed=seed)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(seed=st.integers(0, 10**9), steps=st.integers(1, 12), eps=st.sampled_from([0.001, 0.01, 0.1, 0.3, 1.0]))
def test_many_random_graphs(seed, steps, eps):
    check_bounds(RandomGraph(seed, steps).double().eval(), (1, 4), f"l2(eps={eps}, bounds=None)", seed=seed)


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name):
    check_bounds(Lambda(OPERATORS[name]).double().eval(), (2, 4, 4), "linf(eps=0.1)")


def test_a_graph_that_is_a_chain_has_the_chains_bounds():
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Flatten(), nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3)
    ).double()

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.third = layers[1], layers[3], layers[5]

        def forward(self, x):
            return self.third(self.second(self.first(x.reshape(len(x), -1)).relu()).relu())

    x, y = torch.rand(3, 1, 2, 3, dtype=torch.float64), torch.tensor([0, 1, 2])
    threat = inradius.make("linf(eps=0.1)", ThreatModel)
    for name in ("interval()", "dual()", "alpha(steps=5)"):
        certifier = inradius.make(name, Certifier)
        expected = certifier(layers, x, y, threat).lower
        torch.testing.assert_close(certifier(Wrapped().eval(), x, y, threat).lower, expected)


def test_bounds_follow_the_parameters():
    torch.manual_seed(2)
    model, threat = Mixed().double().eval(), inradius.make("linf(eps=0.02)", ThreatModel)
    x = torch.rand(2, 2, 2, dtype=torch.float64)
    check_bounds(model, (2, 2), "linf(eps=0.02)")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(-1.5)
    y = model(x).argmax(1)
    fresh = Mixed().double().eval()
    fresh.load_state_dict(model.state_dict())
    certifier = inradius.make("dual()", Certifier)
    torch.testing.assert_close(certifier(model, x, y, threat).lower, certifier(fresh, x, y, threat).lower)
    certifier.bound(model, x, y, threat).sum().backward()
    assert model.scale.grad is not None
    assert float(model.scale.grad.abs().sum()) > 0


def test_what_a_module_reads_off_itself_may_change():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.factor, self.shift = nn.Linear(4, 3), 1.0, nn.Parameter(torch.tensor(0.3))

        def forward(self, x):
            return self.layer(x.flatten(1) + self.shift) * self.factor

    torch.manual_seed(3)
    model, x = Scaled().double(), torch.rand(2, 2, 2, dtype=torch.float64)
    threat, certifier = inradius.make("linf(eps=0.01)", ThreatModel), inradius.make("dual()", Certifier)
    y = model(x).argmax(1)
    before = certifier(model, x, y, threat)
    model.factor = -2.0
    after = certifier(model, x, y, threat)
    assert bool(before.certified.any())
    assert not bool(after.certified[before.certified].any())


@pytest.mark.parametrize("layer", [nn.CELU(-1.0), nn.Softplus(beta=-1.0)], ids=str)
def test_curves_that_turn_elsewhere_are_refused(layer):
    with pytest.raises(UnsupportedError, match="allowed is"):
        trace(nn.Sequential(layer), torch.zeros(1, 2))


@pytest.mark.parametrize("layer", CURVES, ids=str)
def test_curves_keep_the_laws(layer):
    check_layer_rule(layer, (3,))


@pytest.mark.parametrize("layer", [ExpLayer(), ReciprocalLayer(), SquareRootLayer()], ids=str)
def test_curves_on_a_part_of_the_line(layer):
    x = torch.linspace(0.1, 3.0, 7, dtype=torch.float64)
    chain = trace(nn.Sequential(nn.Flatten(), layer, nn.Linear(7, 2).double()), x[None, None])
    op = chain.hidden[0][1]
    for width in (0.0, 1e-12, 0.05, 0.09):
        lower, upper = x[None] - width, x[None] + width
        below, above = op.rule.lines(op, lower, upper)
        for z in (lower, upper, x[None], lower + 0.3 * (upper - lower)):
            for slope, offset in below:
                assert bool((slope * z + offset <= layer(z) + 1e-12).all())
            for slope, offset in above:
                assert bool((slope * z + offset >= layer(z) - 1e-12).all())


def test_an_interval_that_reaches_a_pole_proves_nothing():
    class Pole(nn.Module):
        def forward(self, x):
            return torch.stack([1 / x.flatten(1).sum(1), x.flatten(1)[:, 0]], dim=1)

    x = torch.full((1, 1, 2), 0.1, dtype=torch.float64)
    found = inradius.make("dual()", Certifier)(
        Pole(), x, torch.tensor([0]), inradius.make("linf(eps=0.3, bounds=None)", ThreatModel)
    )
    assert not bool(found.certified.any())


def joins():
    class Joins(nn.Module):
        def forward(self, x):
            return x.flatten(1) - x.flatten(1).mean(0, keepdim=True)

    return Joins()


def branches():
    class Branches(nn.Module):
        def forward(self, x):
            return x.flatten(1) if x.sum() > 0 else -x.flatten(1)

    return Branches()


def in_place():
    class InPlace(nn.Module):
        def forward(self, x):
            h = x.flatten(1) * 1
            other = h[:, :]
            h += 1
            return torch.cat([h, other], dim=1)

    return InPlace()


def sorts():
    class Sorts(nn.Module):
        def forward(self, x):
            return torch.sort(x.flatten(1), 1)[0]

    return Sorts()


@pytest.mark.parametrize(
    ("build", "fragment"),
    [
        (joins, "batches of 1 and 2 differ"),
        (branches, "reads a number from a value that depends on the input"),
        (in_place, "was changed in place through another tensor"),
        (sorts, r"sort \(aten.sort.default\), which no layer rule covers"),
    ],
)
def test_what_cannot_be_bounded_is_refused(build, fragment):
    x = torch.rand(2, 1, 2, dtype=torch.float64)
    with pytest.raises(UnsupportedError, match=fragment):
        inradius.make("dual()", Certifier)(
            build(), x, torch.tensor([0, 1]), inradius.make("linf(eps=0.1)", ThreatModel)
        )
