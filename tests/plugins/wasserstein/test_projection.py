"""Projections on Wasserstein balls against quadratic programs, and what their answers promise whatever is asked."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix, vstack

from inradius_wasserstein import Wasserstein, conjugate_sinkhorn
from inradius_wasserstein.entropic import sinkhorn
from inradius_wasserstein.entropic.lambert import lambert_w_exp
from inradius_wasserstein.projection import interior_point
from inradius_wasserstein.set.moves import window_costs, window_moves
from inradius_wasserstein.support.support import support_value

LAWS = settings(max_examples=12, deadline=None, derandomize=True)
CASES = {
    "seed": st.integers(0, 2**31),
    "kernel": st.sampled_from([3, 5]),
    "p": st.sampled_from([1.0, 2.0]),
    "eps": st.sampled_from([0.001, 0.02, 0.1, 0.5, 2.0, 20.0]),
    "shape": st.sampled_from([(1, 5, 5), (2, 5, 5), (1, 8, 8), (1, 6, 7), (2, 4, 6)]),
    "capped": st.booleans(),
}


def moves_of(shape, kernel, p):
    return window_moves(window_costs(kernel, p), *shape[-2:], torch.device("cpu"), torch.float64)


def drawn(seed, shape, size=None, batch=3):
    """Images with zeros, full pixels and ties, and changes of any size."""
    rng = np.random.default_rng(seed)
    x = rng.random((batch, *shape)) * (rng.random((batch, *shape)) > 0.4)
    if seed % 2:
        x = np.round(2 * x) / 2
    x[:, 0, 0, 0] = 0.5
    delta = rng.normal(size=x.shape) * (10.0 ** rng.uniform(-2, 1) if size is None else size)
    if seed % 3 == 0:
        delta = np.sign(delta) * abs(delta).max()
    return torch.from_numpy(x), torch.from_numpy(delta)


def program(x, moves):
    """One image's moves: source, target, cost and the matrices that add plans up over sources and over targets."""
    pixel, column = np.nonzero(moves.valid.numpy())
    first = np.repeat(np.arange(len(x)) * len(moves.target), len(pixel))
    source = np.tile(pixel, len(x)) + first
    target = np.tile(moves.target.numpy()[pixel, column], len(x)) + first
    cost = np.tile(moves.cost.numpy()[pixel, column], len(x))
    each, ones, shape = np.arange(len(source)), np.ones(len(source)), (x.numel(), len(source))
    return cost, coo_matrix((ones, (source, each)), shape).tocsr(), coo_matrix((ones, (target, each)), shape).tocsr()


def clarabel(delta, x, moves, budget, cap):
    """The distance to the ball by Clarabel, for one image (C, H, W)."""
    import cvxpy

    cost, out, into = program(x, moves)
    plan = cvxpy.Variable(len(cost), nonneg=True)
    mass, wish = x.flatten().numpy(), (x + delta).flatten().numpy()
    rules = [out @ plan == mass, cost @ plan <= float(budget)]
    if cap is not None:
        rules.append(into @ plan <= cap)
    task = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(into @ plan - wish)), rules)
    options = {f"tol_{name}": 1e-12 for name in ("gap_abs", "gap_rel", "feas")}
    task.solve(solver=cvxpy.CLARABEL, **options)
    return float(np.linalg.norm(into @ plan.value - wish))


def least_cost(delta, x, moves):
    """The cost of the cheapest plan from x to x + δ, by HiGHS."""
    from scipy.optimize import linprog

    cost, out, into = program(x, moves)
    # HiGHS knows 1e-10 at best: what is missed is bought at a price that no plan has
    slack = coo_matrix(np.concatenate([np.eye(x.numel()), -np.eye(x.numel())], 1))
    rows = vstack([out, into])
    gap = vstack([coo_matrix((x.numel(), slack.shape[1])), slack])
    answer = linprog(
        np.concatenate([cost, np.full(slack.shape[1], 100.0)]),
        A_eq=np.concatenate([rows.toarray(), gap.toarray()], 1),
        b_eq=np.concatenate([x.flatten().numpy(), (x + delta).flatten().numpy()]),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    return answer.fun


def lengths(delta):
    return delta.double().flatten(1).norm(dim=1)


def assert_inside(delta, x, moves, budget, cap, slack=1e-6):
    total = x.flatten(1).sum(1)
    assert bool((delta.flatten(2).sum(2).abs().amax(1) <= slack * total).all())
    assert bool((x + delta >= -slack).all())
    if cap is not None:
        assert bool((x + delta <= cap + slack).all())
    for row in range(len(x)):
        assert least_cost(delta[row], x[row], moves) <= float(budget[row]) * (1 + slack) + 1e-9 * float(total[row])


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate:UserWarning")
@LAWS
@given(**CASES)
def test_nearest_is_as_near_as_the_quadratic_program_says(seed, kernel, p, eps, shape, capped):
    x, delta = drawn(seed, shape)
    moves, budget, cap = moves_of(shape, kernel, p), eps * x.flatten(1).sum(1), 1.0 if capped else None
    found = interior_point.nearest(delta, x, moves, budget, cap)
    distance = lengths(found.delta - delta)
    distances = [clarabel(delta[k], x[k], moves, budget[k], cap) for k in range(len(x))]
    expected = torch.tensor(distances, dtype=x.dtype)
    size = lengths(delta) + lengths(x)
    assert bool((distance <= expected * (1 + 1e-6) + 1e-7 * size).all())
    assert bool((distance >= expected * (1 - 1e-5) - 1e-6 * size).all())
    assert bool((found.gap <= 1e-8 * distance.square() + 1e-12 * size.square()).all())
    assert_inside(found.delta, x, moves, budget, cap)


@LAWS
@given(**CASES | {"size": st.sampled_from([1e-10, 1e-6, 1e-3, 1e4, 1e10])})
def test_points_of_every_size_meet_the_variational_inequality(seed, kernel, p, eps, shape, capped, size):
    x, delta = drawn(seed, shape, size)
    moves, budget = moves_of(shape, kernel, p), eps * x.flatten(1).sum(1)
    found = interior_point.nearest(delta, x, moves, budget, 1.0 if capped else None)
    left = delta - found.delta
    assert bool((found.gap <= 1e-8 * lengths(left) * (lengths(found.delta) + 1e-8 * lengths(x))).all())
    if shape[0] == 1 and not capped:
        best = support_value(left.flatten(1)[:, None], x.flatten(1), moves, budget)[:, 0]
        assert bool((best - (left * found.delta).flatten(1).sum(1) <= 1e-9 * lengths(left) * lengths(x)).all())


@pytest.mark.parametrize("cap", [None, 1.0])
@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_moves_of_any_reach_and_free_ones(eps, cap):
    free = window_moves(((2.0, 0.0, 3.0), (0.0, 0.0, 0.5), (2.0, 1.0, 2.0)), 5, 5, torch.device("cpu"), torch.float64)
    x, delta = drawn(11, (1, 5, 5))
    for moves in (free, moves_of((1, 5, 5), 9, 1.0)):
        budget = eps * x.flatten(1).sum(1)
        found = interior_point.nearest(delta, x, moves, budget, cap).delta
        expected = [clarabel(delta[k], x[k], moves, budget[k], cap) for k in range(len(x))]
        assert lengths(found - delta).tolist() == pytest.approx(expected, rel=1e-6)


@LAWS
@given(**CASES)
def test_single_precision_agrees_with_double(seed, kernel, p, eps, shape, capped):
    x, delta = (part.float() for part in drawn(seed, shape))
    moves, cap = moves_of(shape, kernel, p), 1.0 if capped else None
    budget = eps * x.flatten(1).sum(1)
    single = interior_point.nearest(delta, x, moves, budget, cap).delta
    double = interior_point.nearest(delta.double(), x.double(), moves, budget.double(), cap).delta
    assert single.dtype == torch.float32
    assert bool(((single - double).abs() <= 1e-4 * double.abs().amax() + 1e-6).all())


def test_batch_mates_change_nothing():
    shape = (1, 8, 8)
    x, delta = drawn(3, shape, batch=20)
    x[5:9] *= (torch.rand(4, 1, 8, 8, dtype=x.dtype, generator=torch.Generator().manual_seed(0)) > 0.8) * 1e-5
    delta[7:15] *= 1e6
    moves, budget = moves_of(shape, 5, 1.0), 0.1 * x.flatten(1).sum(1)
    together = interior_point.nearest(delta, x, moves, budget, None).delta
    for row in range(0, 20, 3):
        only = slice(row, row + 1)
        alone = interior_point.nearest(delta[only], x[only], moves, budget[only], None).delta
        assert torch.allclose(together[only], alone, rtol=1e-6, atol=1e-7 * float(x[only].max()))


@pytest.mark.parametrize("solve", [interior_point.nearest, sinkhorn.nearest])
def test_without_a_choice_nothing_moves(solve):
    x, delta = drawn(1, (1, 5, 5), batch=4)
    moves, budget = moves_of((1, 5, 5), 3, 1.0), torch.ones(4, dtype=x.dtype)
    x[0], delta[1], budget[2] = 0, 0, 0
    answer = solve(delta, x, moves, budget, None)
    assert bool((answer.delta[:3] == 0).all())
    assert bool((answer.gap[:3] == 0).all())
    assert bool((answer.delta[3] != 0).any())
    still = solve(delta, x, moves_of((1, 5, 5), 1, 1.0), budget, None)
    assert bool((still.delta == 0).all())


def test_an_image_full_to_the_cap_stays():
    x = torch.ones(1, 1, 5, 5, dtype=torch.float64)
    delta = torch.linspace(-1, 1, 25, dtype=torch.float64).view(1, 1, 5, 5)
    found = interior_point.nearest(delta, x, moves_of((1, 5, 5), 3, 1.0), torch.tensor([5.0]), 1.0)
    assert float(found.delta.abs().max()) <= 1e-9
    assert float(found.gap) <= 1e-6


def test_points_of_the_ball_stay_where_they_are():
    shape = (1, 6, 6)
    x, delta = drawn(2, shape)
    moves, budget = moves_of(shape, 5, 1.0), 0.2 * x.flatten(1).sum(1)
    inside = interior_point.nearest(delta, x, moves, budget, 1.0).delta
    for member, error in ((inside, 1e-5), (0.5 * inside, 1e-6), (1e-6 * inside, 1e-5)):
        again = interior_point.nearest(member, x, moves, budget, 1.0).delta
        assert bool((lengths(again - member) <= error * lengths(member)).all())


@LAWS
@given(**CASES | {"strength": st.sampled_from([1.0, 1e3, 1e6, 1e12]), "single": st.booleans()})
def test_sinkhorn_ends_inside_the_ball(seed, kernel, p, eps, shape, capped, strength, single):
    x, delta = (part.float() if single else part for part in drawn(seed, shape))
    moves, budget = moves_of(shape, kernel, p), eps * x.flatten(1).sum(1)
    found = sinkhorn.nearest(delta, x, moves, budget, 1.0 if capped else None, strength=strength, iterations=20)
    exact = interior_point.nearest(delta, x, moves, budget, 1.0 if capped else None)
    assert bool(found.delta.isfinite().all())
    better = 0.5 * (lengths(found.delta - delta).square() - lengths(exact.delta - delta).square())
    size = (lengths(delta) + lengths(x)).square()
    assert bool((better >= -1e-6 * size).all())
    assert bool((better <= found.gap.double() + 1e-5 * size).all())
    assert_inside(found.delta.double(), x.double(), moves, budget.double(), 1.0 if capped else None, 1e-5)


def test_sinkhorn_comes_near_the_projection_as_the_entropy_fades():
    shape = (1, 6, 6)
    x, delta = drawn(4, shape, 0.3)
    moves, budget = moves_of(shape, 5, 1.0), 0.1 * x.flatten(1).sum(1)
    exact = interior_point.nearest(delta, x, moves, budget, None).delta
    errors = []
    for strength in (10.0, 100.0, 1e3, 1e4):
        found = sinkhorn.nearest(delta, x, moves, budget, None, strength=strength, iterations=3000)
        errors.append(float((lengths(found.delta - exact) / lengths(delta - exact)).mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02


@LAWS
@given(**CASES | {"strength": st.sampled_from([1.0, 1e2, 1e4, 1e8])})
def test_conjugate_brackets_the_support(seed, kernel, p, eps, shape, capped, strength):
    x, c = drawn(seed, shape)
    moves, budget = moves_of(shape, kernel, p), eps * x.flatten(1).sum(1)
    ball = Wasserstein(eps=eps, kernel=kernel, p=p, bounds=(0, 1) if capped else None)
    found = conjugate_sinkhorn(c, x, ball, strength=strength)
    reached = (c * found.delta).flatten(1).sum(1)
    assert bool((reached <= found.bound * (1 + 1e-9)).all())
    if shape[0] == 1 and not capped:
        exact = support_value(c.flatten(1)[:, None], x.flatten(1), moves, budget)[:, 0]
        assert bool((reached <= exact * (1 + 1e-9)).all())
        assert bool((exact <= found.bound * (1 + 1e-9)).all())
        if strength == 1e8:
            assert torch.allclose(found.bound, exact, rtol=1e-4)
            assert torch.allclose(reached, exact, rtol=1e-2)


@LAWS
@given(log=st.floats(-600, 1e6))
def test_lambert_w(log):
    v = lambert_w_exp(torch.tensor([log], dtype=torch.float64))
    assert float(v + v.log()) == pytest.approx(log, rel=1e-12, abs=1e-12)
