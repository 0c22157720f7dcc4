"""The shortest steps to a hyperplane, against cvxpy and against each other."""

import pytest
import torch
from minimal_cases import SETS, Tilted, threat_of

from inradius.sets.box import room
from inradius_minimal.hyperplane import shortest_l1, shortest_l2, shortest_linf
from inradius_minimal.reach import reach
from inradius_minimal.search import search

NORMS = {"inf": shortest_linf, "2": shortest_l2, "1": shortest_l1}


def problem(seed, rows=6, size=7, bounds=(0.0, 1.0)):
    rng = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, size, generator=rng, dtype=torch.float64)
    x[:, 0], x[:, 1] = 0.0, 1.0
    w = torch.randn(rows, size, generator=rng, dtype=torch.float64)
    w[:, 2], w[0, 3], w[1] = 0.0, w[0, 4], w[1] * 1e-9
    low, high = room(x, bounds)
    reach = torch.maximum(w * low, w * high).nan_to_num(nan=0.0, posinf=5.0).sum(1, keepdim=True)
    return x, w, low, high, reach * torch.rand(rows, 1, generator=rng, dtype=torch.float64)


@pytest.mark.parametrize("norm", NORMS)
def test_the_shortest_step_is_that_of_cvxpy(norm):
    import cvxpy

    x, w, low, high, need = problem(0)
    _, length = NORMS[norm](w, low, high, need)
    for row in range(len(x)):
        z, scale = cvxpy.Variable(x.shape[1]), float(w[row].abs().max())
        held = [(w[row] / scale).numpy() @ z == float(need[row]) / scale, z >= low[row].numpy(), z <= high[row].numpy()]
        best = cvxpy.Problem(cvxpy.Minimize(cvxpy.norm(z, norm if norm == "inf" else int(norm))), held)
        best.solve(solver="CLARABEL")
        assert float(length[row]) == pytest.approx(best.value, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), None])
@pytest.mark.parametrize("norm", NORMS)
def test_steps_reach_the_hyperplane_within_the_box(norm, bounds):
    for seed in range(20):
        _, w, low, high, need = problem(seed, bounds=bounds)
        step, length = NORMS[norm](w, low, high, need)
        assert bool(((step >= low) & (step <= high)).all())
        torch.testing.assert_close((w * step).sum(1, keepdim=True), need, rtol=1e-12, atol=1e-20)
        torch.testing.assert_close(torch.linalg.vector_norm(step, ord=float(norm), dim=1), length, rtol=1e-12, atol=0)


@pytest.mark.parametrize("norm", NORMS)
def test_beyond_the_box_the_corner_is_the_answer(norm):
    _, w, low, high, _ = problem(3)
    corner = torch.where(w > 0, high, torch.where(w < 0, low, 0.0))
    step, length = NORMS[norm](w, low, high, (w * corner).sum(1, keepdim=True).abs() * 1.1 + 1)
    torch.testing.assert_close(step, corner)
    assert bool(torch.isinf(length).all())
    step, length = NORMS[norm](torch.zeros_like(w), low, high, torch.ones_like(w[:, :1]))
    assert not step.any()
    assert bool(torch.isinf(length).all())


@pytest.mark.parametrize("spec", SETS)
def test_the_search_by_linear_max_agrees_with_the_closed_form(spec):
    x, w, _, _, need = problem(1)
    threat = threat_of(spec)
    exact, radius = reach(threat, w, need[:, 0], x)
    step, searched = search(threat, w, need[:, 0], x)
    torch.testing.assert_close(searched, radius, rtol=1e-6, atol=1e-12)
    torch.testing.assert_close((w * step).sum(1), need[:, 0], rtol=1e-9, atol=1e-18)
    torch.testing.assert_close(threat.gauge(exact, x), radius, rtol=1e-12, atol=0)


def test_needs_of_either_sign_are_reached():
    x, w, _, _, need = problem(1)
    for threat in (threat_of("l2(eps=0.3)"), Tilted(eps=0.5)):
        there, far = reach(threat, -w, -need[:, 0], x)
        here, near = reach(threat, w, need[:, 0], x)
        torch.testing.assert_close(there, here)
        torch.testing.assert_close(far, near)


def test_what_a_row_gets_does_not_depend_on_its_mates():
    x, w, _, _, need = problem(2)
    for threat in (threat_of("l2(eps=0.3)"), threat_of("linf(eps=0.1)"), threat_of("l1(eps=1.0)"), Tilted(eps=0.5)):
        together, radius = reach(threat, w, need[:, 0], x)
        for row in range(len(x)):
            alone, own = reach(threat, w[[row]], need[[row], 0], x[[row]])
            torch.testing.assert_close(alone, together[[row]], rtol=1e-12, atol=1e-18)
            torch.testing.assert_close(own, radius[[row]], rtol=1e-12, atol=0)


def test_a_set_that_is_a_point_reaches_nothing():
    x, w, _, _, need = problem(2)
    for spec in ("linf(eps=0.0)", "l2(eps=0.0)", "box(lo=0.0, hi=0.0)"):
        _, radius = reach(threat_of(spec), w, need[:, 0] + 1, x)
        assert bool(torch.isinf(radius).all())
