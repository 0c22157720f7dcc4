"""The bisection of an attack: confirmed by members, no longer than what it begins with, near the smallest on linear models."""

import attrs
import pytest
import torch
from minimal_cases import Tilted, attack_of, labelled, least_gauges, linear, perceptron, threat_of

from inradius import Attack, SpecError
from inradius.testing import check_attack, inputs

SHORT = "smallest(pgd(steps=4), first=ddn(steps=4), searches=2)"
CONVEX = [
    "linf(eps=0.2)",
    "l2(eps=0.5)",
    "l1(eps=1.0)",
    "l2(eps=0.5, bounds=None)",
    pytest.param("intersection(linf(eps=0.2), l2(eps=0.4))", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("threat", ["union(linf(eps=0.2), l2(eps=0.5))", "l0(k=2)"])
def test_laws(threat):
    check_attack(SHORT, threat, shape=(1, 2, 2), examples=1)


def test_laws_on_a_strange_set():
    check_attack(attack_of(SHORT), Tilted(eps=0.6), shape=(1, 2, 2), examples=1)


@pytest.mark.slow
@pytest.mark.parametrize("threat", ["union(linf(eps=0.2), l2(eps=0.5))", "l0(k=2)", "l1(eps=1.0, bounds=None)"])
def test_laws_from_its_own_beginnings(threat):
    check_attack("smallest(pgd(steps=4), searches=4)", threat, shape=(1, 2, 2), examples=1)


@pytest.mark.slow
@pytest.mark.parametrize("threat", ["wasserstein(eps=0.1)", "patch(size=1, eps=0.4)", "box(lo=-0.1, hi=0.3)"])
def test_laws_on_more_sets(threat):
    check_attack(SHORT, threat, shape=(1, 2, 2), inputs=inputs((1, 2, 2), batch=2), examples=2)


@pytest.mark.parametrize("threat", CONVEX)
def test_linear_models_are_fooled_near_the_smallest_gauge(threat):
    model, around = linear(4), threat_of(threat)
    x, y = labelled(model)
    least = least_gauges(model, x, y, around)
    found = attack_of("smallest(apgd(steps=20, objective=margin()))")(model, x, y, around)
    reachable = least < 60
    assert torch.equal(found.margin < 0, reachable)
    assert float((found.gauge / least)[reachable].max()) < 1 + 1e-2
    assert float((found.gauge / least)[reachable].min()) >= 1 - 1e-9


@pytest.mark.parametrize("threat", ["linf(eps=0.2)", "l2(eps=0.5)", "l1(eps=1.0)", "l0(k=1)"])
def test_answers_are_misclassified_and_no_longer_than_what_it_begins_with(threat):
    model, around = perceptron(), threat_of(threat)
    x, y = labelled(model)
    first = attack_of("ddn(steps=15)")(model, x, y, around)
    found = attack_of("smallest(apgd(steps=10), first=ddn(steps=15))")(model, x, y, around)
    # far starts are random, and their numbers are not those of the attack alone
    known = (first.margin < 0) & (first.queries < 70)
    assert int(known.sum()) > 8
    assert bool((found.margin < 0)[known].all())
    assert bool((found.gauge <= first.gauge * (1 + 2e-3))[known].all())
    if threat.startswith(("linf", "l1")):
        assert float((found.gauge < first.gauge * 0.999)[known].double().mean()) > 0.2


@attrs.frozen(kw_only=True)
class Liar(Attack):
    """Answers with points beyond its set, and with members that change nothing."""

    beyond: bool = True

    def perturb(self, batch, *, observe=None):
        return torch.full_like(batch.x, 100.0 if self.beyond else 0.0)


@pytest.mark.parametrize("beyond", [True, False])
def test_a_radius_is_never_taken_for_granted(beyond):
    model, around = perceptron(), threat_of("linf(eps=0.2, bounds=None)")
    x, y = labelled(model)
    first = attack_of("ddn(steps=20)")
    spec = attrs.evolve(attack_of("smallest()"), attack=Liar(beyond=beyond), first=first)
    found, known = spec(model, x, y, around), first(model, x, y, around)
    torch.testing.assert_close(found.gauge, known.gauge, rtol=1e-3, atol=0)
    assert bool((found.margin < 0).all())


def test_attacks_that_ask_for_no_gradient_are_bisected_without_one():
    model, around = perceptron(), threat_of("linf(eps=0.2)")
    x, y = labelled(model)

    def silent(images):
        return model(images.detach())

    attack = attack_of("smallest(square(queries=60))")
    found = attack(silent, x, y, around)
    assert attack.is_black_box()
    # far noise finds most of what there is
    known = found.margin < 0
    assert float(known.double().mean()) > 0.7
    best = attack_of("fab_t(steps=20)")(model, x, y, around)
    assert float((found.gauge / best.gauge)[known].median()) < 1.5


def test_a_goal_is_aimed_at():
    model, around = linear(3), threat_of("l2(eps=0.5, bounds=None)")
    x, y = labelled(model)
    goal = (y + 1) % 3
    found = attack_of("smallest(apgd(steps=10, objective=margin()))")(model, x, y, around, goal=goal)
    assert torch.equal(model(x + found.delta).argmax(1), goal)


def test_attacks_for_the_smallest_perturbation_are_refused():
    with pytest.raises(SpecError, match="looks for the smallest perturbation itself"):
        attack_of("smallest(ddn())")


def test_specs_build_equal_attacks():
    for spec in ("smallest()", "smallest(pgd(steps=3), first=fab(), searches=4, share=0.2)"):
        assert attack_of(str(attack_of(spec))) == attack_of(spec)
