"""Interval, dual, CROWN and LP bounds: against an independent dual network, against each other, and against sampled values."""

import copy

import pytest
import torch
from chain_networks import mlp
from hypothesis import given, settings
from hypothesis import strategies as st
from in_turn import in_turn
from torch import nn

import inradius
from inradius import Certifier, ExampleRNG, Normalize, Property, ThreatModel, UnsupportedError
from inradius.attacks.objective import class_margin
from inradius_bounds.backward.rows.windows import WindowRows
from inradius_bounds.certifiers.lp import relaxed_minimum

SETTINGS = settings(max_examples=8, deadline=None, derandomize=True)
SETS = ["linf(eps=0.1)", "linf(eps=0.05, bounds=None)", "l2(eps=0.5)", "l2(eps=0.3, bounds=None)", "l1(eps=1.5)"]
F64 = torch.float64


def threat(spec):
    return inradius.make(spec, ThreatModel)


def certifier(spec):
    return inradius.make(spec, Certifier)


def conv_net(seed):
    """A network with every layer of the list: nested containers, normalisation, strides, groups, pooling, dropout."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        Normalize([0.4, 0.6], [0.5, 0.3]),
        nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU()),
        nn.Conv2d(4, 6, 3, 1, 1, groups=2),
        nn.ReLU(),
        nn.Conv2d(6, 4, 2, 1, 1, dilation=2),
        nn.Conv2d(4, 4, 3, 1, 1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(16, 8),
        nn.ReLU(),
        nn.Identity(),
        nn.Linear(8, 4),
    ).double()
    net[1][1].running_mean.normal_(0, 0.1)
    net[1][1].running_var.uniform_(0.5, 1.5)
    return net


def batch(shape, count=3, seed=0, classes=3):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, *shape, dtype=F64, generator=generator)
    return x, torch.randint(classes, (count,), generator=generator)


def sampled_margins(net, x, y, classes, found, draws=40):
    """The smallest value of each margin among random and attacking perturbations, (B, K)."""
    prop = Property.margins(y, classes, dtype=F64)
    worst = torch.full(prop.offsets.shape, torch.inf, dtype=F64)
    with torch.no_grad():
        for seed in range(draws):
            delta = found.sample(x, rng=ExampleRNG(seed, torch.arange(len(x))))
            values = (prop.weights @ net(x + delta)[..., None]).squeeze(2)
            worst = torch.minimum(worst, values)
    for row in range(classes - 1):
        free = x.clone().requires_grad_()
        value = (prop.weights[:, row] * net(free)).sum()
        (gradient,) = torch.autograd.grad(value, free)
        with torch.no_grad():
            values = (prop.weights @ net(x + found.linear_max(-gradient, x))[..., None]).squeeze(2)
        worst = torch.minimum(worst, values)
    return worst


def _walk(layers, bounds, level, row, x, low, high):
    """The lower bound of row · (pre-activation of ``level``), by the recursion (3.8)-(3.9) of Wong 2020."""
    constant = torch.zeros((), dtype=F64)
    for position in range(level - 1, -1, -1):
        weight, bias = layers[position]
        constant, row = constant + row @ bias, row @ weight
        if position:
            lower, upper = bounds[position - 1]
            crossing = (lower < 0) & (upper > 0)
            slope = torch.where(crossing, upper / (upper - lower), (lower >= 0).double())
            # the line above is slope · (z − lower): a negative entry meets its offset
            constant = constant - (row.clamp(max=0) * slope * lower)[crossing].sum()
            row = row * slope
    return constant + torch.minimum(row * (x + low), row * (x + high)).sum()


@pytest.mark.parametrize("seed", range(4))
def test_dual_is_the_network_of_wong_and_kolter(seed):
    net = mlp(seed)
    x, y = batch((6,), seed=seed)
    found = threat("linf(eps=0.15)")
    low, high = found.hull(x)
    layers = [(layer.weight.detach(), layer.bias.detach()) for layer in net if isinstance(layer, nn.Linear)]
    ours = certifier("dual(intersect=False)")(net, x, y, found).lower.detach()
    theirs = torch.stack([_margins(layers, x[i], low[i], high[i], y[i]) for i in range(len(x))])
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


def _margins(layers, x, low, high, y):
    bounds = []
    for level in range(1, len(layers)):
        unit = torch.eye(len(layers[level - 1][1]), dtype=F64)
        lower = torch.stack([_walk(layers, bounds, level, row, x, low, high) for row in unit])
        upper = torch.stack([-_walk(layers, bounds, level, -row, x, low, high) for row in unit])
        bounds.append((lower, upper))
    rows = Property.margins(y[None], len(layers[-1][1]), dtype=F64).weights[0]
    return torch.stack([_walk(layers, bounds, len(layers), row, x, low, high) for row in rows])


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
@pytest.mark.parametrize(
    ("kind", "spec"),
    in_turn(["interval()", "dual()", "dual(intersect=False)", "alpha(steps=5)", "crown(intersect=False)"], SETS),
)
def test_no_value_of_the_set_lies_below_the_bound(kind, spec, seed):
    net, (x, y) = conv_net(seed).eval(), batch((2, 8, 8), seed=seed, classes=4)
    proof = certifier(kind)(net, x, y, threat(spec))
    reached = sampled_margins(net, x, y, 4, threat(spec))
    assert bool((reached >= proof.lower - proof.error).all())


@pytest.mark.parametrize("spec", SETS)
@pytest.mark.parametrize("kind", ["dual()", "crown()"])
def test_backward_bounds_are_at_least_as_tight_as_intervals(kind, spec):
    net, (x, y) = conv_net(1), batch((2, 8, 8), classes=4)
    interval = certifier("interval()")(net, x, y, threat(spec)).lower
    assert bool((certifier(kind)(net, x, y, threat(spec)).lower >= interval - 1e-9).all())


@pytest.mark.parametrize("spec", SETS)
def test_a_linear_network_is_certified_exactly(spec):
    net, (x, y) = mlp(0, (6, 3)), batch((6,))
    found = threat(spec)
    prop = Property.margins(y, 3, dtype=F64)
    rows = prop.weights @ net[1].weight
    exact = (prop.weights @ net(x)[..., None]).squeeze(2) - found.support(-rows, x)
    for kind in ("interval()", "dual()", "crown()", "lp()"):
        torch.testing.assert_close(certifier(kind)(net, x, y, found).lower, exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize("spec", SETS)
def test_dual_below_lp_below_attacked_values(spec):
    net, (x, y) = mlp(2), batch((6,), count=2)
    found = threat(spec)
    dual, lp = (certifier(kind)(net, x, y, found).lower for kind in ("dual()", "lp()"))
    assert bool((dual <= lp + 1e-7).all())
    assert bool((lp <= sampled_margins(net, x, y, 3, found) + 1e-9).all())


@pytest.mark.parametrize("spec", SETS)
def test_the_proved_lp_bound_is_the_solvers_optimum(spec):
    """Strong duality: the multipliers, re-evaluated without the solver, give its optimum back, to its tolerance."""
    net, (x, y) = mlp(3), batch((6,), count=2)
    optimum = relaxed_minimum(net, x, threat(spec), Property.margins(y, 3, dtype=F64))
    proved = certifier("lp()")(net, x, y, threat(spec)).lower
    torch.testing.assert_close(proved, optimum, rtol=0, atol=1e-5)


def test_a_solver_that_gives_up_leaves_a_bound_that_holds(monkeypatch):
    import cvxpy

    net, (x, y), found = mlp(3), batch((6,), count=2), threat("l2(eps=0.3)")
    optimum = certifier("lp()")(net, x, y, found).lower

    def give_up(self, **options):
        raise cvxpy.SolverError("numbers too far apart")

    monkeypatch.setattr(cvxpy.Problem, "solve", give_up)
    with pytest.warns(RuntimeWarning, match=r"lp\(\) keeps .* row \d of example \d .*numbers too far apart"):
        looser = certifier("lp()")(net, x, y, found).lower
    assert bool(looser.isfinite().all())
    assert bool((looser <= optimum + 1e-7).all())


@SETTINGS
@given(st.integers(0, 100), st.sampled_from(SETS), st.sampled_from(["interval()", "dual()", "crown()"]))
def test_batch_mates_change_no_bound(seed, spec, kind):
    net, (x, y) = conv_net(seed % 3), batch((2, 8, 8), count=3, seed=seed, classes=4)
    together = certifier(kind)(net, x, y, threat(spec)).lower
    alone = torch.cat([certifier(kind)(net, x[i : i + 1], y[i : i + 1], threat(spec)).lower for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["dual(intersect=False)", "crown(intersect=False)"])
@pytest.mark.parametrize("seed", range(3))
def test_windows_are_only_a_faster_way_to_the_same_bounds(seed, kind, monkeypatch):
    net, (x, y) = conv_net(seed), batch((2, 8, 8), seed=seed, classes=4)
    found = threat("linf(eps=0.1)")
    fast = certifier(kind)(net, x, y, found).lower
    monkeypatch.setattr(WindowRows, "small", lambda self, shape: False)
    torch.testing.assert_close(fast, certifier(kind)(net, x, y, found).lower)


# l1 closes inner rows with multipliers that are not optimal; by design the gradient is then that at fixed multipliers
@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("interval()", "linf(eps=0.1)"),
        ("interval()", "l2(eps=0.3)"),
        ("interval()", "l1(eps=1.0)"),
        ("dual()", "linf(eps=0.1)"),
        ("dual()", "l2(eps=0.3)"),
        ("crown()", "linf(eps=0.1)"),
        ("crown(best=False)", "l2(eps=0.3)"),
    ],
)
def test_bounds_have_the_gradient_of_finite_differences(kind, spec):
    net, (x, y) = conv_net(4).eval(), batch((2, 8, 8), count=2, classes=4)
    found, chosen = threat(spec), certifier(kind)
    weight = net[2].weight
    (gradient,) = torch.autograd.grad(chosen.bound(net, x, y, found).sum(), weight)
    direction = torch.randn(weight.shape, dtype=F64, generator=torch.Generator().manual_seed(0))
    step = 1e-7
    with torch.no_grad():
        weight += step * direction
        above = chosen(net, x, y, found).lower.sum()
        weight -= 2 * step * direction
        below = chosen(net, x, y, found).lower.sum()
        weight += step * direction
    expected = (above - below) / (2 * step)
    torch.testing.assert_close((gradient * direction).sum(), expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("kind", ["dual()", "crown()"])
def test_rounding_is_stated_and_near_misses_are_bounded_again_in_float64(kind):
    net, (x, y) = conv_net(0).float().eval(), batch((2, 8, 8), classes=4)
    exact = conv_net(0).eval()
    found = threat("linf(eps=0.02)")
    with torch.no_grad():
        proof = certifier(kind)(net, x.float(), y, found)
        reference = certifier(kind)(net.double(), x.float().double(), y, found)
    assert bool(((proof.lower - reference.lower).abs() <= proof.error).all())
    assert bool((reference.error < 1e-6).all())
    # a bias that puts the worst margin at zero leaves float32 undecided
    shifted = exact.float()
    with torch.no_grad():
        worst = certifier(kind)(shifted, x.float(), y, found).lower
        shifted[-1].bias[y[0]] -= worst[0].min()
        again = certifier(kind)(shifted, x.float(), y, found)
    assert int(again.precision[0]) == 64


@pytest.mark.parametrize("kind", ["interval()", "dual()", "crown()"])
def test_training_mode_is_put_back_and_statistics_are_untouched(kind):
    net, (x, y) = conv_net(0).train(), batch((2, 8, 8), classes=4)
    mean = net[1][1].running_mean.clone()
    first = certifier(kind)(net, x, y, threat("linf(eps=0.1)")).lower
    assert net.training
    assert net[1][1].training
    torch.testing.assert_close(net[1][1].running_mean, mean, rtol=0, atol=0)
    torch.testing.assert_close(first, certifier(kind)(net.eval(), x, y, threat("linf(eps=0.1)")).lower)


def test_a_radius_per_example_is_the_set_of_each_example():
    net, (x, y) = conv_net(0), batch((2, 8, 8), classes=4)
    base, factors = threat("l2(eps=0.2)"), torch.tensor([0.5, 1.0, 2.0], dtype=F64)
    together = certifier("dual()")(net, x, y, base.per_example(factors)).lower
    alone = [
        certifier("dual()")(net, x[i : i + 1], y[i : i + 1], base.scaled(float(factors[i]))).lower for i in range(3)
    ]
    torch.testing.assert_close(together, torch.cat(alone))


def test_certified_means_the_margin_is_positive_everywhere_sampled():
    net, (x, y) = mlp(5), batch((6,), count=20)
    y = net(x).argmax(1)
    found = threat("linf(eps=0.01)")
    proof = certifier("dual()")(net, x, y, found)
    assert bool(proof.certified.any())
    for seed in range(20):
        delta = found.sample(x, rng=ExampleRNG(seed, torch.arange(20)))
        assert bool((class_margin(net(x + delta), y) > 0)[proof.certified].all())


def test_an_unknown_layer_is_refused_with_its_path():
    net = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Hardshrink(), nn.Linear(4, 2)))
    with pytest.raises(UnsupportedError, match=r"model\.1\.0 .* uses hardshrink .*, which no layer rule covers"):
        certifier("dual()")(net, torch.rand(1, 4), torch.tensor([0]), threat("linf(eps=0.1)"))


@pytest.mark.parametrize("kind", ["interval()", "dual()", "crown()", "lp()"])
def test_a_layer_that_stands_in_two_places_is_passed_twice(kind):
    torch.manual_seed(0)
    relu, square = nn.ReLU(), nn.Linear(5, 5)
    layers = [nn.Flatten(), nn.Linear(4, 5), relu, square, relu, square, relu, nn.Linear(5, 3)]
    shared = nn.Sequential(*layers).double()
    apart = nn.Sequential(*(copy.deepcopy(layer) for layer in shared))
    x, y, threat = (
        torch.rand(2, 1, 2, 2, dtype=torch.float64),
        torch.tensor([0, 2]),
        inradius.make("linf(eps=0.1)", ThreatModel),
    )
    with torch.no_grad():
        proofs = [inradius.make(kind, Certifier)(net, x, y, threat).lower for net in (shared, apart)]
    torch.testing.assert_close(*proofs, rtol=0, atol=0)
