"""Gradient attacks on linear models, where the worst case is known: W·x minus the support of the set."""

import attrs
import pytest
import torch
from gradient_cases import SETS, Toward, labelled, linear, threat_of, worst_margins

import inradius
from inradius import Attack, Margin
from inradius_gradient import FGSM, PGD, FrankWolfe

EXACT = [FGSM(), FrankWolfe(steps=1), FrankWolfe()]
SLOW = [PGD(steps=60, step=0.5), PGD(steps=60, step=1.0, random_start=False)]


def tolerance(attack, spec):
    """Linear steps end in the worst case; those of pgd in ℓ1, whose coordinates are drawn at random, end near it."""
    near = {"l1(eps=1.0, k1=1, k2=3)": 1e-2}
    return near.get(spec, 2e-3) if isinstance(attack, PGD) else 1e-9


@pytest.mark.parametrize("spec", SETS)
@pytest.mark.parametrize("attack", EXACT + SLOW, ids=str)
def test_two_classes_are_driven_to_the_worst_margin(attack, spec):
    threat, model = threat_of(spec), linear(2)
    x, y = labelled(model)
    worst = worst_margins(model, x, y, threat).amin(1)
    if not isinstance(attack, FGSM):
        attack = attrs.evolve(attack, keep_maximising=True)
    found = attack(model, x, y, threat)
    assert found.inside.all()
    torch.testing.assert_close(found.margin, worst, rtol=0, atol=tolerance(attack, spec))


@pytest.mark.parametrize("spec", SETS)
@pytest.mark.parametrize("attack", ["fgsm()", "frank_wolfe()", "pgd(steps=60, step=0.5)"])
def test_two_classes_are_fooled_exactly_where_the_worst_margin_allows_it(attack, spec):
    threat, model = threat_of(spec), linear(2)
    x, y = labelled(model, 64)
    worst = worst_margins(model, x, y, threat).amin(1)
    attack = inradius.make(attack, Attack)
    clear = worst.abs() > tolerance(attack, spec)
    found = attack(model, x, y, threat)
    assert torch.equal(found.success[clear], worst[clear] <= 0)
    assert 0 < found.success.sum() < len(x)


@pytest.mark.parametrize("spec", SETS)
@pytest.mark.parametrize("attack", [FrankWolfe(), SLOW[0]], ids=str)
def test_each_class_of_many_is_driven_to_its_worst_margin(attack, spec):
    threat, model = threat_of(spec), linear(5)
    x, y = labelled(model)
    worst = worst_margins(model, x, y, threat)
    for to in range(5):
        found = attrs.evolve(attack, objective=Toward(to=to), keep_maximising=True)(model, x, y, threat)
        others = y != to
        reached = -Toward(to=to)(model(x + found.delta), y).detach()
        torch.testing.assert_close(reached[others], worst[others, to], rtol=0, atol=tolerance(attack, spec))


@pytest.mark.parametrize("spec", SETS)
def test_one_step_towards_the_most_promising_class_ends_in_the_worst_margin_of_all(spec):
    """On a linear model the estimate of each class's lead is its maximum, so one class is enough."""
    threat, model = threat_of(spec), linear(5)
    x, y = labelled(model)
    worst = worst_margins(model, x, y, threat).amin(1)
    for classes in (1, 3, 9):
        attack = FrankWolfe(steps=1, classes=classes, objective=Margin(), keep_maximising=True)
        torch.testing.assert_close(attack(model, x, y, threat).margin, worst, rtol=0, atol=1e-9)


@pytest.mark.parametrize("spec", SETS)
def test_no_attack_passes_the_worst_margin(spec):
    threat, model = threat_of(spec), linear(5)
    x, y = labelled(model)
    worst = worst_margins(model, x, y, threat).amin(1)
    for attack in (FGSM(objective=Margin()), PGD(objective=Margin(), restarts=3), FrankWolfe(restarts=3)):
        assert (attack(model, x, y, threat).margin >= worst - 1e-9).all()


@pytest.mark.parametrize("spec", SETS)
@pytest.mark.parametrize("attack", ["fgsm()", "frank_wolfe()", "pgd()", "pgd(objective=margin())"])
def test_with_a_goal_success_is_a_prediction_of_the_goal(attack, spec):
    threat, model, attack = threat_of(spec).scaled(2.0), linear(3), inradius.make(attack, Attack)
    x, y = labelled(model, 64)
    goal = model(x).topk(2).indices[:, 1]
    goal[0] = y[0]
    found = attack(model, x, y, threat, goal=goal)
    predicted = model(x + found.delta).argmax(1)
    assert torch.equal(found.success, predicted == goal)
    assert found.success[0]
    assert 0 < found.success.sum() < len(x)
    assert found.success.sum() >= (model(x + attack(model, x, y, threat).delta).argmax(1) == goal).sum()
