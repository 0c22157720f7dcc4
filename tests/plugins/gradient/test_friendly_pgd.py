"""Friendly PGD: it stops at the first miss, or so many misses later; and the lead of a class."""

import pytest
import torch
from gradient_cases import SETS, labelled, perceptron, threat_of, watched

import inradius
from inradius import Attack, Margin, Objective
from inradius.attacks.objective import class_margin, logit_difference
from inradius.testing import check_attack, check_objective
from inradius.testing.strategies import inputs


def make(spec):
    return inradius.make(spec, Attack)


@pytest.mark.parametrize("threat", ["linf(eps=0.2)", "l1(eps=1.0)", "union(linf(eps=0.2), l1(eps=1.1))", "l0(k=2)"])
@pytest.mark.parametrize("spec", ["friendly_pgd(steps=4)", "friendly_pgd(steps=4, tau=2, random_start=False)"])
def test_the_laws_of_attacks_hold(spec, threat):
    check_attack(spec, threat, shape=(1, 2, 3), examples=2)


def test_the_laws_of_attacks_hold_where_mass_moves():
    check_attack("friendly_pgd(steps=2)", "wasserstein(eps=0.1)", shape=(1, 2, 2), inputs=inputs((1, 2, 2)), examples=1)


def test_the_laws_of_objectives_hold():
    check_objective("logit_difference()")
    check_objective("logit_difference()", classes=2)


@pytest.mark.parametrize("start", ["", ", random_start=False"])
@pytest.mark.parametrize("tau", [0, 1, 2])
@pytest.mark.parametrize("spec", SETS)
def test_it_stops_so_many_misses_after_the_first(spec, tau, start):
    model, threat = perceptron(), threat_of(spec).scaled(3.0)
    x, y = labelled(model, 24)
    found, seen = watched(make(f"friendly_pgd(steps=10, step=0.15, tau={tau}{start})"), model, x, y, threat)
    seen = torch.stack(seen)
    logits = torch.stack([model(x + delta) for delta in seen])
    missed = torch.stack([class_margin(one, y) <= 0 for one in logits])
    for row in range(len(x)):
        misses = missed[:, row].nonzero().flatten().tolist()
        last = misses[tau] if len(misses) > tau else 10
        still = seen[min(last, len(seen) - 1) :, row]
        assert bool((still == found.delta[row]).all())
        # until then it moved at each step, unless there was nowhere to go
        if last and spec.endswith("bounds=None)") and start:
            assert bool((seen[1, row] != seen[0, row]).any())
    assert bool(missed[-1].any())


def test_its_steps_are_those_of_pgd():
    model, threat = perceptron(), threat_of("linf(eps=0.2)")
    x, y = labelled(model)
    options = "steps=6, step=0.3, random_start=False"
    _, friendly = watched(make(f"friendly_pgd({options}, tau=6)"), model, x, y, threat)
    _, full = watched(make(f"pgd({options}, keep_maximising=True)"), model, x, y, threat)
    torch.testing.assert_close(friendly, full)


def test_it_does_less_harm_than_pgd_and_asks_less():
    model, threat = perceptron(), threat_of("l2(eps=0.8)")
    x, y = labelled(model, 24)
    options = "steps=10, step=0.15, random_start=False"
    friendly, patient = (make(f"friendly_pgd({options}, tau={tau})")(model, x, y, threat) for tau in (0, 2))
    full = make(f"pgd({options}, keep_maximising=True)")(model, x, y, threat)
    won = friendly.success & full.success
    assert float(friendly.margin[won].mean()) > float(patient.margin[won].mean()) > float(full.margin[won].mean())
    assert int(friendly.queries.sum()) < int(patient.queries.sum()) < int(full.queries.sum())


def test_a_start_and_a_goal_are_heeded():
    model, threat = perceptron(), threat_of("linf(eps=0.8, bounds=None)")
    x, y = labelled(model)
    start = torch.full_like(x, 2.0)
    _, seen = watched(make("friendly_pgd(steps=2)"), model, x, y, threat, start=start)
    torch.testing.assert_close(seen[0], threat.project(start, x))
    goal = (y + 1) % 4
    found = make("friendly_pgd(steps=20, random_start=False)")(model, x, y, threat, goal=goal)
    reached = class_margin(model(x + found.delta), goal) > 0
    assert bool(reached.any())
    assert found.success.tolist() == reached.tolist()


def test_the_lead_of_a_class_is_over_the_label_alone():
    logits = torch.tensor([[1.0, 3.0, 2.5], [0.0, 1.0, 5.0]])
    y, goal = torch.tensor([0, 1]), torch.tensor([2, 0])
    objective = inradius.make("logit_difference()", Objective)
    assert objective(logits, y, goal).tolist() == [1.5, -1.0]
    assert torch.equal(objective(logits, y, goal), logit_difference(logits, y, goal))
    assert torch.equal(objective(logits, y), Margin()(logits, y))
    assert not torch.equal(objective(logits, y, goal), Margin()(logits, y, goal))
