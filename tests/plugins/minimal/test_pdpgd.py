"""PDPGD: its proximal steps against a solver, its answers on linear models, where the closed form and the search agree."""

import pytest
import torch
from minimal_cases import Tilted, attack_of, labelled, least_gauges, linear, perceptron, threat_of

from inradius import AttackBatch, CountedModel, ExampleRNG
from inradius.testing import check_attack
from inradius_minimal.proximal import dual_length, nearer

ORDERS = {"linf(eps=0.7, bounds=None)": "inf", "l2(eps=0.7, bounds=None)": 2, "l1(eps=0.7, bounds=None)": 1}


def batch_of(threat, x):
    y = torch.zeros(len(x), dtype=torch.int64)
    model = CountedModel(torch.nn.Identity(), y)
    return AttackBatch(model=model, x=x, y=y, threat=threat, rng=ExampleRNG(0, torch.arange(len(x))))


def points(seed, rows=6, size=5):
    rng = torch.Generator().manual_seed(seed)
    v = torch.randn(rows, size, generator=rng, dtype=torch.float64)
    v[0, 1], v[1] = -v[0, 0], 0.0
    return v, 2 * torch.rand(rows, generator=rng, dtype=torch.float64)


@pytest.mark.parametrize("threat", ORDERS)
def test_proximal_points_are_those_of_cvxpy(threat):
    import cvxpy

    v, weight = points(0)
    found = nearer(batch_of(threat_of(threat), torch.zeros_like(v)), v, weight)
    for row, w in enumerate(weight.tolist()):
        z = cvxpy.Variable(5)
        cost = cvxpy.sum_squares(z - v[row].numpy()) / 2 + w * cvxpy.norm(z, ORDERS[threat])
        cvxpy.Problem(cvxpy.Minimize(cost)).solve(solver="CLARABEL")
        torch.testing.assert_close(found[row], torch.from_numpy(z.value), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("threat", ORDERS)
def test_what_is_taken_off_has_the_dual_length_of_the_weight(threat):
    # Moreau: moved − prox is the projection on the dual ball of the weight
    for seed in range(20):
        v, weight = points(seed)
        part = batch_of(threat_of(threat), torch.zeros_like(v))
        off = v - nearer(part, v, weight)
        length = dual_length(part, off)
        assert bool((length <= weight * (1 + 1e-9) + 1e-12).all())
        torch.testing.assert_close(length, torch.minimum(weight, dual_length(part, v)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("threat", ["linf(eps=0.3)", "l2(eps=0.7)", "l1(eps=0.7)"])
def test_steps_keep_to_the_box(threat):
    v, weight = points(3)
    x = torch.rand(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = nearer(batch_of(threat_of(threat), x), v, weight)
    assert bool(((x + found >= 0) & (x + found <= 1)).all())


@pytest.mark.parametrize("threat", [Tilted(eps=0.7), "l0(k=2, bounds=(-9, 9))"], ids=str)
def test_without_a_closed_form_no_projection_costs_less(threat):
    v, weight = points(4)
    around = threat if isinstance(threat, Tilted) else threat_of(threat)
    part = batch_of(around, torch.zeros_like(v))
    weight = weight * 0.3

    def cost(z):
        return (z - v).square().sum(1) / 2 + weight * around.gauge(z, part.x)

    found = cost(nearer(part, v, weight))
    for radius in torch.linspace(0, 4, 33, dtype=torch.float64):
        other = around.per_example(radius.expand(len(v))).project(v, part.x)
        assert bool((found <= cost(other) + 1e-2 * cost(torch.zeros_like(v))).all())


@pytest.mark.parametrize("threat", ["linf(eps=0.2)", "l2(eps=0.5)", "l1(eps=1.0)", "l1(eps=1.0, bounds=None)"])
def test_linear_models_are_fooled_near_the_smallest_gauge(threat):
    model, around = linear(2), threat_of(threat)
    x, y = labelled(model)
    least = least_gauges(model, x, y, around)
    found = attack_of("pdpgd()")(model, x, y, around)
    reachable = least < 60
    assert torch.equal(found.margin < 0, reachable)
    ratio = (found.gauge / least)[reachable]
    assert float(ratio.min()) >= 1 - 1e-9
    assert float(ratio.median()) <= 1.01
    assert float(ratio.max()) <= 1.05


@pytest.mark.parametrize("threat", ["union(linf(eps=0.2), l2(eps=0.5))", "l0(k=2)"])
def test_laws(threat):
    check_attack("pdpgd(steps=5)", threat, shape=(1, 2, 2), examples=1)


def test_it_runs_on_sets_without_a_norm():
    model = perceptron()
    x, y = labelled(model)
    for threat, steps in ((Tilted(eps=0.6), 2), (threat_of("l0(k=1)"), 10)):
        found = attack_of(f"pdpgd(steps={steps})")(model, x[:6], y[:6], threat)
        assert float((found.margin < 0).double().mean()) > 0.5
        assert bool((threat.violation(found.delta, x[:6]) <= 1e-9).all())
