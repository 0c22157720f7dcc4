"""Support functions and maximisers of Wasserstein balls against linear programs, and first layers against rows."""

from html import escape

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix, vstack
from torch import nn

import inradius
from inradius import InputError, Oracles, SpecError, ThreatModel
from inradius.cli.summary import show
from inradius_bounds.capture.trace import trace
from inradius_wasserstein.set import costs
from inradius_wasserstein.support import concave_gain as hull
from inradius_wasserstein.support.concave_gain import hull_edges
from inradius_wasserstein.support.price import spend

LAWS = settings(max_examples=20, deadline=None, derandomize=True)
SETS = {
    "kernel": st.sampled_from([3, 5, None]),
    "p": st.sampled_from([1.0, 2.0, 0.5]),
    "eps": st.sampled_from([0.0, 0.001, 0.01, 0.1, 0.5, 2.0, 20.0]),
}
CASES = SETS | {
    "seed": st.integers(0, 2**31),
    "channels": st.integers(1, 3),
    "size": st.sampled_from([(4, 4), (3, 6), (1, 5), (7, 2)]),
}


def ball(**options):
    return inradius.make(f"wasserstein({', '.join(f'{name}={value}' for name, value in options.items())})", ThreatModel)


def images(rng, *shape, zeros=0.4):
    return torch.from_numpy(rng.random(shape) * (rng.random(shape) > zeros))


def directions(rng, *shape):
    """Normal numbers, few different ones, or numbers that span 20 orders of magnitude."""
    kind = rng.integers(3)
    normal = rng.normal(size=shape)
    if kind == 0:
        return torch.from_numpy(normal)
    return torch.from_numpy(np.round(normal) if kind == 1 else normal * 10 ** rng.uniform(-10, 10, shape))


def program(threat, c, x):
    """max ⟨c, δ⟩ by HiGHS, for one image (C, H, W)."""
    from scipy.optimize import linprog

    moves, budget = threat.moves(x[None]), float(threat.budgets(x[None]))
    # numbers rounded to 0 in every place are a direction too
    size = c.abs().max().clamp(min=torch.finfo(c.dtype).tiny)
    c, mass = (c / size).flatten().numpy(), x.flatten().numpy()
    pixel, column = np.nonzero(moves.valid.numpy())
    first = np.repeat(np.arange(len(x)) * len(moves.target), len(pixel))
    source = np.tile(pixel, len(x)) + first
    target = np.tile(moves.target.numpy()[pixel, column], len(x)) + first
    cost = np.tile(moves.cost.numpy()[pixel, column], len(x))
    each, ones, shape = np.arange(len(source)), np.ones(len(source)), (len(mass), len(source))
    limits, most = [cost[None]], [np.array([budget])]
    if threat.cap is not None:
        limits.append(coo_matrix((ones, (target, each)), shape))
        most.append(np.full(len(mass), threat.cap))
    answer = linprog(
        c[source] - c[target],
        A_ub=vstack([coo_matrix(limit) for limit in limits]),
        b_ub=np.concatenate(most),
        A_eq=coo_matrix((ones, (source, each)), shape),
        b_eq=mass,
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    return -answer.fun * float(size)


def drawn(seed, channels, size, count=2):
    rng = np.random.default_rng(seed)
    return images(rng, 2, channels, *size), directions(rng, 2, count, channels, *size)


@LAWS
@given(**CASES)
def test_support_and_its_maximiser_agree_with_the_linear_program(kernel, p, eps, seed, channels, size):
    threat = ball(eps=eps, kernel=kernel, p=p)
    x, c = drawn(seed, channels, size)
    support = threat.support(c, x)
    for k in range(c.shape[1]):
        delta = threat.linear_max(c[:, k], x)
        assert bool((x + delta >= 0).all())
        torch.testing.assert_close(delta.sum((1, 2, 3)), torch.zeros(2).double(), rtol=0, atol=1e-13)
        reached = (c[:, k] * delta).sum((1, 2, 3))
        scale = c[:, k].abs().amax((1, 2, 3))
        torch.testing.assert_close(reached, support[:, k], rtol=1e-9, atol=1e-13 * float(scale.max()))
        assert bool((reached <= support[:, k] + 1e-14 * scale * x.sum((1, 2, 3))).all())
        for row in range(2):
            # the program's own tolerance is a share of the largest entry
            truth = program(threat, c[row, k], x[row])
            assert float(support[row, k]) == pytest.approx(truth, rel=1e-9, abs=1e-9 * float(scale[row]))


@LAWS
@given(**CASES)
def test_the_plan_of_the_maximiser_is_paid_for(kernel, p, eps, seed, channels, size):
    threat = ball(eps=eps, kernel=kernel, p=p)
    x, c = drawn(seed, channels, size, count=1)
    assert bool(threat.contains(threat.linear_max(c[:, 0], x), x, tol=1e-9).all())


@LAWS
@given(**CASES)
def test_the_gradient_of_support_is_a_maximiser(kernel, p, eps, seed, channels, size):
    threat = ball(eps=eps, kernel=kernel, p=p)
    x, c = drawn(seed, channels, size)
    (delta,) = torch.autograd.grad(threat.support(c.requires_grad_(), x).sum(), c)
    value = (c.detach() * delta).sum((2, 3, 4))
    scale = float(c.detach().abs().max())
    torch.testing.assert_close(value, threat.support(c.detach(), x), rtol=1e-9, atol=1e-12 * scale)


@LAWS
@given(**CASES)
def test_single_precision_is_never_below(kernel, p, eps, seed, channels, size):
    threat = ball(eps=eps, kernel=kernel, p=p)
    x, c = (part.float() for part in drawn(seed, channels, size))
    exact = threat.support(c.double(), x.double())
    for dtype in (torch.float32, torch.bfloat16):
        small = threat.support(c.to(dtype), x.to(dtype)).double()
        if dtype == torch.bfloat16:
            exact = threat.support(c.to(dtype).double(), x.to(dtype).double())
        assert bool((small >= exact * (1 - 1e-14)).all())
        torch.testing.assert_close(small, exact, rtol=1e-4 if dtype == torch.float32 else 1e-2, atol=1e-30)


@settings(LAWS, max_examples=8)
@given(**CASES)
def test_with_a_cap_support_lies_between_the_program_and_the_uncapped_one(kernel, p, eps, seed, channels, size):
    capped, free = ball(eps=eps, kernel=kernel, p=p, bounds=(0, 1)), ball(eps=eps, kernel=kernel, p=p)
    x, c = drawn(seed, channels, size, count=1)
    scale = c.abs().amax((1, 2, 3, 4))
    support, delta = capped.support(c, x)[:, 0], capped.linear_max(c[:, 0], x)
    reached = (c[:, 0] * delta).sum((1, 2, 3))
    assert bool((support <= free.support(c, x)[:, 0]).all())
    assert bool((x + delta >= -1e-15).all())
    assert bool((x + delta <= 1 + 1e-15).all())
    assert bool(capped.contains(delta, x, tol=1e-9).all())
    for row in range(2):
        truth = program(capped, c[row, 0], x[row])
        slack = 1e-9 * float(scale[row])
        assert float(reached[row]) <= truth + slack
        assert float(support[row]) >= truth - slack


def test_with_a_cap_bound_and_point_come_near_on_smooth_directions():
    rng = np.random.default_rng(0)
    threat = ball(eps=0.3, bounds=(0, 1))
    x = images(rng, 4, 1, 10, 10).clamp(max=1)
    c = nn.functional.avg_pool2d(directions(np.random.default_rng(3), 4, 1, 12, 12), 3, 1)
    truth = torch.tensor([program(threat, c[row], x[row]) for row in range(4)])
    assert bool((threat.support(c[:, None], x)[:, 0] <= 1.03 * truth).all())
    assert bool(((c * threat.linear_max(c, x)).sum((1, 2, 3)) >= 0.95 * truth).all())


@pytest.mark.parametrize("digits", [0, 3, 14, 200])
def test_the_last_price_is_found_among_prices_of_every_size(digits):
    price = 10.0 ** -torch.linspace(0, digits, 400, dtype=torch.float64)[None, :, None]
    width = torch.linspace(1, 2, 400, dtype=torch.float64)[None, :, None]
    for budget in (0.0, 0.3, 77.0, 250.5, 1e4):
        spent = spend(price, width, torch.tensor([[budget]], dtype=torch.float64))
        bought = (price > spent.high) * width
        bought = bought + spent.share * ((price > spent.low) * width - bought)
        value = spent.psi * budget + ((price - spent.psi).clamp(min=0) * width).sum()
        assert float(bought.sum()) <= budget * (1 + 1e-14)
        assert float((bought * price).sum()) == pytest.approx(float(value), rel=1e-13)


@LAWS
@given(seed=st.integers(0, 2**31), count=st.integers(2, 8))
def test_hulls_by_comparison_and_by_walking_are_the_same(seed, count):
    rng = np.random.default_rng(seed)
    cost = torch.from_numpy(np.concatenate([[0], np.sort(rng.random(count))]))[:, None]
    values = list(torch.from_numpy(np.round(rng.normal(size=(count + 1, 5, 3)), 1)).cummax(0).values)
    compared, walked = hull_edges(values, cost), hull_edges(values, cost.expand(-1, 5))
    for psi in (0.0, 0.3, 1.0, 4.0):
        gains = [((found.price - psi).clamp(min=0) * found.width).sum(0) for found in (compared, walked)]
        torch.testing.assert_close(*gains)


def test_moves_that_cost_nothing_are_made_without_a_budget(tmp_path):
    x = torch.tensor([[[[1.0, 0.0, 0.5]]]], dtype=torch.float64)
    c = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64).view(1, 1, 1, 3)
    window = ball(eps=0, cost="((0, 0, 1),)")
    assert float(window.support(c[:, None], x)) == pytest.approx(0.0)
    assert float(window.support(-c[:, None], x)) == pytest.approx(1.0)
    table = tmp_path / "costs.npy"
    np.save(table, np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 2.0], [1.0, 0.0, 0.0]]))
    given_table = ball(eps=0, cost=f"'{table}'")
    assert float(given_table.support(c[:, None], x)) == pytest.approx(1.0)
    assert float(ball(eps=0.5, cost=f"'{table}'").support(c[:, None], x)) == pytest.approx(1 + 0.75 * 2)
    torch.testing.assert_close(
        given_table.linear_max(c, x).flatten(), torch.tensor([-1.0, 1.0, 0.0], dtype=torch.float64)
    )


NETS = {
    "linear": (nn.Sequential(nn.Flatten(), nn.Linear(60, 7), nn.ReLU(), nn.Linear(7, 2)), (2, 5, 6)),
    "padded": (
        nn.Sequential(nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(27, 2)),
        (2, 5, 6),
    ),
    "plain": (nn.Sequential(nn.Conv2d(1, 2, (2, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(40, 2)), (1, 6, 6)),
    "scaled": (
        nn.Sequential(
            inradius.Normalize((0.1, 0.2), (0.5, 0.3)),
            nn.Conv2d(2, 2, 2),
            nn.BatchNorm2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(40, 2),
        ),
        (2, 5, 6),
    ),
    "dilated": (
        nn.Sequential(nn.Conv2d(2, 2, 2, dilation=2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 2)),
        (2, 5, 6),
    ),
    "small": (nn.Sequential(nn.Conv2d(1, 2, 3, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2)), (1, 2, 2)),
}


def made(name):
    """A network with its own weights in each test, and the shape of its images."""
    torch.manual_seed(0)
    net, shape = NETS[name]
    for layer in net:
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    return net.double().eval(), shape


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(
    "options", [{"eps": 0.1}, {"eps": 0.01, "kernel": 3, "p": 2}, {"eps": 20}, {"eps": 0}], ids=str
)
def test_first_layers_by_shared_prices_are_those_of_rows(name, options, trained):
    net, shape = made(name)
    threat, x = ball(**options), images(np.random.default_rng(5), 3, *shape)
    with torch.set_grad_enabled(trained):
        block = trace(net, x).layers[0].block
        center = block(x)
        exact = Oracles.bound_affine(threat, block, x)
        found = threat.bound_affine(block, x)
    # few pixels are the hardest case: gains bend at few prices
    each, together = (1.15, 1.02) if trained else (1.02, 1.002)
    for sign, truth, side in zip((-1, 1), exact, found, strict=True):
        gain, least = (sign * (each_side - center).detach() for each_side in (side, truth))
        assert bool((gain >= least * (1 - 1e-12) - 1e-12).all())
        assert bool((gain <= each * least + 1e-12).all())
        assert float(gain.sum()) <= together * float(least.sum()) + 1e-9


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("name", ["padded", "plain", "small"])
def test_first_layers_are_the_same_where_hulls_are_walked_around(name, trained, monkeypatch):
    net, shape = made(name)
    threat, x = ball(eps=0.1), images(np.random.default_rng(5), 3, *shape)
    block, weight = trace(net, x).layers[0].block, net[0].weight
    found = []
    for few in (24, 2):
        monkeypatch.setattr(hull, "_FEW", few)
        with torch.set_grad_enabled(trained):
            lower, upper = threat.bound_affine(block, x)
        slope = torch.autograd.grad((upper - lower).sum(), weight)[0] if trained else weight.detach()
        found.append((lower.detach(), upper.detach(), slope))
    for compared, walked in zip(*found, strict=True):
        torch.testing.assert_close(walked, compared, rtol=1e-9, atol=1e-9)


def test_first_layers_with_moves_at_many_distances():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(200, 2)).double().eval()
    threat, x = ball(eps=0.05, kernel=13), images(np.random.default_rng(5), 1, 1, 10, 10)
    with torch.no_grad():
        block = trace(net, x).layers[0].block
        exact, found = Oracles.bound_affine(threat, block, x)[1], threat.bound_affine(block, x)[1]
        gain, least = found - block(x), exact - block(x)
    assert bool((gain >= least * (1 - 1e-12)).all())
    assert float(gain.sum()) <= 1.002 * float(least.sum())


def test_the_gradient_of_first_layer_bounds_goes_to_the_weights():
    net, shape = made("padded")
    threat, x = ball(eps=0.1), images(np.random.default_rng(5), 3, *shape)
    block, weight = trace(net, x).layers[0].block, net[0].weight
    found = []
    for bounds in (threat.bound_affine, lambda op, z: Oracles.bound_affine(threat, op, z)):
        lower, upper = bounds(block, x)
        found.append(torch.autograd.grad((upper - lower).sum(), weight)[0])
    # that of the exact bound shares the budget's last move, which few pixels feel
    assert float(torch.cosine_similarity(*(part.flatten() for part in found), dim=0)) > 0.95


@LAWS
@given(**CASES)
def test_the_hull_is_what_unit_directions_reach(kernel, p, eps, seed, channels, size):
    threat = ball(eps=eps, kernel=kernel, p=p)
    x, _ = drawn(seed, channels, size)
    for side, truth in zip(threat.hull(x), Oracles.hull(threat, x), strict=True):
        torch.testing.assert_close(side, truth, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "spec", ["wasserstein(0.2)", "wasserstein(0.2, bounds=(0, 1))", "wasserstein(0.2, kernel=None)"]
)
def test_images_without_mass_and_radius_zero_stay(spec):
    c = directions(np.random.default_rng(1), 2, 3, 1, 4, 5)
    blank = torch.zeros(2, 1, 4, 5, dtype=torch.float64)
    threat = inradius.make(spec, ThreatModel)
    for set_, x in ((threat, blank), (threat.scaled(0.0), blank + 0.5)):
        assert not bool(set_.support(c, x).any())
        assert not bool(set_.linear_max(c[:, 0], x).any())
        assert not bool(torch.cat(set_.hull(x)).any())
        assert not bool(set_.sample(x).any())


def test_the_mass_that_the_radius_is_measured_by():
    x = images(np.random.default_rng(2), 2, 1, 4, 4)
    c = directions(np.random.default_rng(0), 2, 2, 1, 4, 4)
    absolute = ball(eps=1.0, mass="'absolute'").per_example(0.1 * x.sum((1, 2, 3)))
    torch.testing.assert_close(absolute.support(c, x), ball(eps=0.1).support(c, x))


def test_the_convention_is_told():
    assert "no pixel exceeds 1" in ball(eps=1, bounds=(0, 1)).convention
    assert "‖i − j‖₂^2" in ball(eps=1, p=2).per_example(torch.ones(1)).convention
    union = inradius.make("union(linf(0.1), wasserstein(0.1))", ThreatModel)
    assert union.convention == f"wasserstein(eps=0.1): {ball(eps=0.1).convention}"


def test_every_report_shows_the_convention(capsys):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).double()
    data = inradius.Dataset.of(images(np.random.default_rng(1), 3, 1, 4, 4), torch.tensor([0, 1, 0]))
    report = inradius.bracket(net, data, "wasserstein(0.1)", attacks=["fgsm()"], certifiers=["dual()"])
    convention = ball(eps=0.1).convention
    assert report.summary()["setting"]["convention"] == convention
    assert report.to_html().count(escape(convention)) == 2
    show(report)
    assert convention in " ".join(capsys.readouterr().out.split())


def test_costs_of_a_file_are_known_by_their_hash(tmp_path):
    file = tmp_path / "window.npy"
    np.save(file, np.array([[2.0, 1.0, 3.0], [1.0, 0.0, 1.0], [2.0, 1.0, 2.0]]))
    threat = ball(eps=0.1, cost=f"'{file}'")
    assert inradius.make(str(threat), ThreatModel) == threat
    assert not threat.symmetric
    np.save(file, np.ones((3, 3)) - np.eye(3))
    with pytest.raises(SpecError, match="now has the hash"):
        inradius.make(str(threat), ThreatModel)


def test_a_set_does_not_take_costs_that_were_written_after_it_was_made(tmp_path):
    file = tmp_path / "window.npy"
    np.save(file, np.array([[2.0, 1.0, 3.0], [1.0, 0.0, 1.0], [2.0, 1.0, 2.0]]))
    threat = ball(eps=0.1, cost=f"'{file}'")
    np.save(file, np.ones((3, 3)) - np.eye(3))
    costs._read.cache_clear()
    with pytest.raises(InputError, match="no longer the file of costs"):
        threat.support(torch.ones(1, 1, 1, 4, 4), torch.rand(1, 1, 4, 4))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kernel": 4}, "odd integers"),
        ({"p": 0}, "a finite number > 0"),
        ({"mass": "'pixel'"}, "'unit' and 'absolute'"),
        ({"bounds": "(0.5, 1)"}, "does not begin at 0"),
        ({"cost": "((1, 0),)"}, "window of odd sides"),
        ({"cost": "((1, 0, -1),)"}, "window of odd sides"),
        ({"cost": "'nowhere.npy'"}, "names no file"),
        ({"cost": "((1, 0, 1),)", "p": 2}, "leave kernel and p out"),
    ],
)
def test_wrong_parameters_are_named(options, sentence):
    with pytest.raises(SpecError, match=sentence):
        ball(eps=0.1, **options)


def test_inputs_that_are_no_images_are_named():
    threat = ball(eps=0.1)
    with pytest.raises(InputError, match="are not images"):
        threat.check_inputs(torch.ones(2, 5))
    with pytest.raises(InputError, match=r"negative pixel -0\.5"):
        threat.check_inputs(torch.tensor([[[[1.0, -0.5]]]]))
