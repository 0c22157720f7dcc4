"""Gauge, violation and distance of Wasserstein balls: the cheapest plan, against linear programs and POT."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inradius
from inradius import InputError, ThreatModel
from inradius_wasserstein import distance, flows
from inradius_wasserstein.plans.transport import hard_violation, plan_cost
from inradius_wasserstein.set.costs import distances
from inradius_wasserstein.set.moves import window_costs, window_moves

LAWS = settings(max_examples=20, deadline=None, derandomize=True)


def moves_of(height, width, kernel, p=1.0):
    return window_moves(window_costs(kernel, p), height, width, torch.device("cpu"), torch.float64)


def moved(x, moves, rng, stay=2.0):
    """δ of a random plan, and what that plan costs, for images (B, C, H, W)."""
    shares = torch.from_numpy(rng.random(moves.target.shape)) * moves.valid
    shares[:, 0] += stay
    flow = x.flatten(2)[..., None] * shares / shares.sum(1, keepdim=True)
    arrived = torch.zeros_like(x.flatten(2))
    arrived.index_add_(2, moves.target.flatten(), flow.flatten(2))
    return arrived.view_as(x) - x, (flow * moves.cost).sum((1, 2, 3))


def images(rng, *shape, zeros=0.5):
    return torch.from_numpy(rng.random(shape) * (rng.random(shape) > zeros))


def programs(a, b, moves):
    """The largest mass that moves a to within b, and the least cost of moving as much, by HiGHS."""
    from scipy.optimize import linprog

    source, move = np.nonzero(moves.valid.numpy())
    target, cost = moves.target.numpy()[source, move], moves.cost.numpy()[source, move]
    size, edges = len(a), np.arange(len(source))
    marginals = np.zeros((2 * size, len(source)))
    marginals[source, edges] = 1
    marginals[size + target, edges] = 1
    limits = np.concatenate([a, b])
    most = linprog(-np.ones(len(source)), A_ub=marginals, b_ub=limits, method="highs")
    least = linprog(
        cost,
        A_ub=marginals,
        b_ub=limits,
        A_eq=np.ones((1, len(source))),
        b_eq=[-most.fun * (1 - 1e-12)],
        method="highs",
    )
    return -most.fun, least.fun


@LAWS
@given(st.integers(0, 10**6), st.sampled_from([3, 5]), st.sampled_from([0.5, 1.0, 2.0]), st.integers(2, 6))
def test_plan_cost_is_that_of_the_linear_program(seed, kernel, p, width):
    rng = np.random.default_rng(seed)
    moves = moves_of(5, width, kernel, p)
    x = images(rng, 1, 1, 5, width)
    delta, spent = moved(x, moves, rng)
    cost, unmatched = plan_cost(delta, x, moves)
    mass, least = programs(x.flatten().numpy(), (x + delta).clamp(min=0).flatten().numpy(), moves)
    assert mass == pytest.approx(float(x.sum()), rel=1e-9)
    assert float(cost) == pytest.approx(least, rel=1e-9, abs=1e-9)
    assert float(cost) <= float(spent) * (1 + 1e-9)
    assert float(unmatched) == 0


@LAWS
@given(st.integers(0, 10**6), st.sampled_from([1, 3]))
def test_what_no_plan_places_is_unmatched(seed, kernel):
    rng = np.random.default_rng(seed)
    moves = moves_of(4, 5, kernel)
    x, z = images(rng, 1, 1, 4, 5, zeros=0.7), images(rng, 1, 1, 4, 5, zeros=0.7)
    mass, least = programs(x.flatten().numpy(), z.flatten().numpy(), moves)
    cost, unmatched = plan_cost(z - x, x, moves)
    assert float(unmatched) == pytest.approx(max(float(x.sum()), float(z.sum())) - mass, abs=1e-9)
    assert float(cost) == pytest.approx(least, abs=1e-8)


def test_mass_moves_on_through_pixels_that_pass_theirs_on():
    x = torch.tensor([1.0, 1, 0]).double().view(1, 1, 1, 3)
    z = torch.tensor([0.0, 1, 1]).double().view(1, 1, 1, 3)
    cost, unmatched = plan_cost(z - x, x, moves_of(1, 3, 3))
    assert (float(cost), float(unmatched)) == pytest.approx((2, 0))
    alone = torch.tensor([1.0, 0, 0]).double().view(1, 1, 1, 3)
    _, unmatched = plan_cost(alone.flip(3) - alone, alone, moves_of(1, 3, 3))
    assert float(unmatched) == pytest.approx(1)


@LAWS
@given(st.integers(0, 10**6))
def test_channels_and_examples_are_separate_and_channels_add_up(seed):
    rng = np.random.default_rng(seed)
    moves = moves_of(4, 4, 3)
    x = images(rng, 3, 2, 4, 4)
    delta, _ = moved(x, moves, rng)
    together, _ = plan_cost(delta, x, moves)
    apart = sum(plan_cost(delta[:, [c]], x[:, [c]], moves)[0] for c in range(2))
    torch.testing.assert_close(together, apart)


def test_single_precision_misses_no_mass_and_costs_the_same():
    rng = np.random.default_rng(0)
    moves = moves_of(14, 14, 5)
    x = images(rng, 8, 1, 14, 14).float().double()
    delta, _ = moved(x, moves, rng)
    exact, _ = plan_cost(delta, x, moves)
    cost, unmatched = plan_cost(delta.float(), x.float(), moves)
    assert not unmatched.any()
    torch.testing.assert_close(cost, exact, rtol=1e-5, atol=0)


def test_flows_of_all_sizes_lose_no_mass():
    rng = np.random.default_rng(5)
    moves = moves_of(28, 28, 5)
    x = images(rng, 8, 1, 28, 28, zeros=0.8)
    shares = torch.from_numpy(10.0 ** rng.uniform(-18, 0, (8, 1, *moves.target.shape))) * moves.valid
    flow = x.flatten(2)[..., None] * shares / shares.sum(-1, keepdim=True)
    arrived = torch.zeros_like(x.flatten(2)).index_add_(2, moves.target.flatten(), flow.flatten(2))
    _, unmatched = plan_cost(arrived.view_as(x) - x, x, moves)
    assert not unmatched.any()


def test_violation_is_lost_mass_negative_pixels_and_excess_over_the_cap():
    moves = moves_of(4, 4, 3)
    x = torch.full((1, 1, 4, 4), 0.5, dtype=torch.float64)
    delta = torch.zeros_like(x)
    assert not hard_violation(delta, x, moves, 1.0).any()
    delta[0, 0, 0, :2] = torch.tensor([-0.75, 0.75])
    assert float(hard_violation(delta, x, moves, None)) == pytest.approx(0.25)
    delta[0, 0, 0, :2] = torch.tensor([-0.5, 0.5])
    assert float(hard_violation(delta * 1.2, x, moves, 1.0)) == pytest.approx(0.1)
    delta[0, 0, 1, 1] = 0.3
    assert float(hard_violation(delta, x, moves, None)) == pytest.approx(0.3)


@pytest.mark.parametrize("size", [1e10, 1e290, 1e-300, 1.0])
def test_anything_has_a_finite_answer(size):
    rng = np.random.default_rng(1)
    x = images(rng, 2, 1, 28, 28, zeros=0.8)
    delta = torch.from_numpy(rng.standard_normal(x.shape)) * size
    cost, unmatched = plan_cost(delta, x, moves_of(28, 28, 5))
    assert bool(cost.isfinite().all())
    assert bool(unmatched.isfinite().all())
    assert bool((unmatched > 0).all()) == (size >= 1)


def test_what_is_not_finite_is_outside():
    x = torch.ones(2, 1, 4, 4)
    delta = torch.zeros_like(x)
    for value in (torch.nan, torch.inf, torch.finfo(torch.float64).max):
        delta = delta.double()
        delta[1, 0, 0, 0] = value
        cost, unmatched = plan_cost(delta, x.double(), moves_of(4, 4, 3))
        assert cost.tolist() == unmatched.tolist() == [0, torch.inf]


def wasserstein(spec):
    return inradius.make(spec, ThreatModel)


@pytest.mark.parametrize("mass", ["unit", "absolute"])
def test_gauge_is_the_cost_over_the_budget(mass):
    rng = np.random.default_rng(2)
    threat = wasserstein(f"wasserstein(eps=0.1, kernel=3, mass={mass!r})")
    x = images(rng, 4, 1, 6, 6)
    delta, _ = moved(x, moves_of(6, 6, 3), rng)
    cost, _ = plan_cost(delta, x, moves_of(6, 6, 3))
    budget = 0.1 * (x.flatten(1).sum(1) if mass == "unit" else 1)
    torch.testing.assert_close(threat.gauge(delta, x), cost / budget)
    torch.testing.assert_close(threat.scaled(4.0).gauge(delta, x), threat.gauge(delta, x) / 4)
    factors = torch.tensor([1.0, 2, 3, 4], dtype=torch.float64)
    torch.testing.assert_close(threat.per_example(factors).gauge(delta, x), threat.gauge(delta, x) / factors)
    assert not threat.gauge(torch.zeros_like(x), x).any()
    assert bool(threat.scaled(0.0).gauge(delta, x).isinf().all())
    assert not threat.scaled(0.0).gauge(torch.zeros_like(x), x).any()


@pytest.mark.parametrize("pull", [1e-12, 1e-9, 1e-6])
def test_a_point_of_the_boundary_drawn_towards_zero_is_a_member_without_tolerance(pull):
    rng = np.random.default_rng(3)
    x = images(rng, 16, 1, 14, 14)
    moves = moves_of(14, 14, 5)
    delta, _ = moved(x, moves, rng)
    cost, _ = plan_cost(delta, x, moves)
    for row in range(len(x)):
        threat = wasserstein(f"wasserstein(eps={float(cost[row] / x[row].sum())!r})")
        drawn = delta[[row]] * (1 - pull)
        assert bool(threat.contains(drawn, x[[row]], tol=0.0))
        assert not bool(threat.contains(delta[[row]] * (1 + 1e-6), x[[row]], tol=0.0))


@LAWS
@given(st.integers(0, 10**6), st.sampled_from([0.5, 1.0, 2.0]))
def test_exact_distance_is_that_of_pot(seed, p):
    import ot

    rng = np.random.default_rng(seed)
    a, b = images(rng, 2, 2, 4, 5), images(rng, 2, 2, 4, 5)
    a[:, :, 0, 0] = b[:, :, 3, 4] = 0.5
    b = b * (a.sum((2, 3), keepdim=True) / b.sum((2, 3), keepdim=True))
    table = distances(4, 5, p)
    known = [
        sum(ot.emd2(u.flatten().numpy(), v.flatten().numpy(), table.numpy()) for u, v in zip(*pair, strict=True))
        for pair in zip(a, b, strict=True)
    ]
    torch.testing.assert_close(distance(a, b, p=p), torch.tensor(known, dtype=torch.float64), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(distance(a, b, cost=table), distance(a, b, p=p))
    torch.testing.assert_close(distance(a, b, p=p), distance(b, a, p=p))
    torch.testing.assert_close(distance(a.float(), b.float(), p=p), distance(a, b, p=p).float(), rtol=1e-5, atol=1e-6)


def pair_of(seed=4, shape=(3, 1, 5, 5)):
    rng = np.random.default_rng(seed)
    a = images(rng, *shape)
    delta, _ = moved(a, moves_of(*shape[2:], 5), rng)
    return a, (a + delta).clamp(min=0)


def test_sinkhorn_distance_is_that_of_pot():
    import ot

    a, b = pair_of()
    a, b = a + 0.01, b + 0.01
    table = distances(5, 5, 1.0)
    mass = a.flatten(1).sum(1)
    units = [
        ot.sinkhorn2(
            u.numpy(), v.numpy(), table.numpy(), reg=0.1, method="sinkhorn_log", stopThr=1e-12, numItermax=10**5
        )
        for u, v in zip((a / mass.view(-1, 1, 1, 1)).flatten(1), (b / mass.view(-1, 1, 1, 1)).flatten(1), strict=True)
    ]
    found = distance(a, b, method="sinkhorn", regularization=0.1, tolerance=1e-9)
    torch.testing.assert_close(
        found, mass * torch.tensor([float(u) for u in units], dtype=torch.float64), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("options", [{}, {"kernel": 5}, {"kernel": 5, "p": 2.0}])
def test_sinkhorn_tends_to_the_exact_distance_in_either_precision(options):
    a, b = pair_of()
    exact = distance(a, b, **options)
    gaps = [
        distance(a, b, method="sinkhorn", regularization=size, tolerance=1e-7, **options) - exact
        for size in (1, 0.1, 0.01)
    ]
    assert bool((gaps[0] > gaps[1]).all() & (gaps[1] > gaps[2]).all() & (gaps[2] > -1e-5).all())
    assert bool((gaps[2] <= 0.01 * exact).all())
    single = distance(a.float(), b.float(), method="sinkhorn", regularization=0.01, **options)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=0.01, atol=0)


def test_sinkhorn_does_not_depend_on_batch_mates():
    a, b = pair_of()
    together = distance(a, b, kernel=5, method="sinkhorn")
    apart = torch.cat([distance(a[[row]], b[[row]], kernel=5, method="sinkhorn") for row in range(len(a))])
    torch.testing.assert_close(together, apart, rtol=1e-12, atol=0)


def test_the_gradient_of_sinkhorn_is_that_of_the_regularised_cost():
    import ot

    a, b = (image[:1] + 0.05 for image in pair_of())
    size, table = 0.5, distances(5, 5, 1.0)
    point = a.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(
        distance(point, b, method="sinkhorn", regularization=size, tolerance=1e-11).sum(), point
    )

    def regularised(image):
        mass = float(image.sum())
        u, v = (image / mass).flatten().numpy(), (b / b.sum()).flatten().numpy()
        return mass * float(ot.solve(table.numpy(), u, v, reg=size, reg_type="KL", max_iter=10**5, tol=1e-13).value)

    change = torch.zeros_like(a)
    change[0, 0, 1, 1], change[0, 0, 3, 2] = 1e-4, -1e-4
    measured = (regularised(a + change) - regularised(a - change)) / 2
    assert float((gradient * change).sum()) == pytest.approx(measured, rel=1e-3)


def test_images_without_mass_are_at_distance_zero_and_unreachable_ones_infinitely_far():
    nothing = torch.zeros(1, 1, 4, 4)
    assert float(distance(nothing, nothing)) == 0
    assert float(distance(nothing, nothing, method="sinkhorn")) == 0
    a, b = nothing.clone(), nothing.clone()
    a[0, 0, 0, 0] = b[0, 0, 3, 3] = 1
    assert float(distance(a, b, kernel=3)) == torch.inf
    assert float(distance(a, b)) == pytest.approx(18**0.5)


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        (torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 3), {}, "differ or are not images"),
        (torch.ones(2, 2), torch.ones(2, 2), {}, "batch, channels, height, width"),
        (torch.ones(1, 1, 2, 2), 2 * torch.ones(1, 1, 2, 2), {}, "the channels of pair 0 have the masses"),
        (torch.ones(1, 1, 2, 2), -torch.ones(1, 1, 2, 2), {}, "negative or infinite pixels"),
        (torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), {"method": "emd"}, "allowed are 'exact' and 'sinkhorn'"),
        (torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), {"kernel": 4}, "an odd kernel or None"),
        (
            torch.ones(1, 1, 2, 2),
            torch.ones(1, 1, 2, 2),
            {"cost": torch.ones(2, 2)},
            "not a table of costs between the 4 pixels",
        ),
        (torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), {"method": "sinkhorn", "regularization": 0}, "a number > 0"),
    ],
)
def test_distance_says_what_is_wrong(a, b, options, message):
    with pytest.raises(InputError, match=message):
        distance(a, b, **options)


@pytest.mark.parametrize("kernel", [None, 5])
def test_flows_carry_one_image_to_the_other_at_their_distance(kernel):
    a, b = pair_of(shape=(2, 3, 6, 6))
    found = flows(a, b, kernel=kernel)
    table = distances(6, 6, 1.0)
    known = distance(a, b, kernel=kernel)
    for row, (source, target, amount) in enumerate(found):
        assert float((table[source, target] * amount).sum()) == pytest.approx(float(known[row]), rel=1e-9)
        change = torch.zeros(36, dtype=torch.float64)
        change.index_add_(0, target, amount).index_add_(0, source, -amount)
        torch.testing.assert_close(change, (b - a)[row].sum(0).flatten(), rtol=0, atol=1e-9)


def test_a_plan_that_does_not_get_there_is_named():
    a, b = pair_of()
    with pytest.warns(RuntimeWarning, match="of 3 plans have marginals wrong"):
        distance(a, b, method="sinkhorn", regularization=1e-3, tolerance=1e-12, iterations=31)
