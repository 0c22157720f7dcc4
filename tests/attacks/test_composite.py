"""Attacks that hold attacks: what they say of these, of what they maximise, and of training."""

import attrs
import pytest
import torch

import inradius
from inradius import Attack, CrossEntropy, Margin, Observer, make

SPECS = [
    "pgd()", "mim()", "frank_wolfe()", "sparse_l1_descent()", "apgd()", "apgd_t()", "beta()", "spsa()", "msd()", "fgsm()",
    "friendly_pgd()", "square()", "fab()", "restarts(pgd())", "restarts(beta(), n=2)", "eot(mim(), 2)", "grow(apgd())",
    "worst(fgsm(), pgd(), spsa())", "attack_cascade(apgd(), worst(pgd(), square()))", "if_zero_gradient(square())",
    "transfer(pgd(), model='mnist_small_standard()')", "worst_part(pgd())", "worst_part(pgd(), keep_maximising=False)",
    "autoattack()", "inradius_suite()",
]  # fmt: skip


def fields(attack):
    return {field.name: getattr(attack, field.name) for field in attrs.fields(type(attack))}


def held(attack):
    """The attacks in the fields of an attack."""
    flat = [one for value in fields(attack).values() for one in (value if isinstance(value, tuple) else (value,))]
    return tuple(one for one in flat if isinstance(one, Attack))


def everything(attack):
    return [attack, *(one for inner in attack.inner() for one in everything(inner))]


@pytest.mark.parametrize("spec", SPECS)
def test_an_attack_says_which_attacks_it_holds(spec):
    attack = make(spec, Attack)
    assert attack.inner() == held(attack)


@pytest.mark.parametrize("spec", SPECS)
def test_in_training_no_attack_within_stops_at_an_example_that_is_misclassified(spec):
    """Law: that is all that changes, and once is enough."""
    attack = make(spec, Attack)
    trained = attack.for_training()
    assert trained.for_training() == trained
    for before, after in zip(everything(attack), everything(trained), strict=True):
        assert type(before) is type(after)
        assert fields(after).get("keep_maximising") is not False
        changed = {name for name, value in fields(before).items() if fields(after)[name] != value}
        assert changed <= {"keep_maximising", "attack", "members"}


@pytest.mark.parametrize("spec", SPECS)
def test_what_it_maximises_is_its_own_objective_or_that_of_the_one_it_holds(spec):
    attack = make(spec, Attack)
    own, inner = fields(attack).get("objective"), attack.inner()
    expected = own or (inner[0].maximised() if len(inner) == 1 else CrossEntropy())
    assert attack.maximised() == expected
    assert not attack.compares()
    assert make("worst(fgsm(), restarts(pgd(objective=kl())))", Attack).compares()


def test_black_box_is_what_holds_black_boxes_alone():
    for spec, expected in {
        "square()": True,
        "pgd()": False,
        "restarts(square())": True,
        "worst(square(), spsa())": True,
        "worst(square(), pgd())": False,
        "transfer(pgd(), model='mnist_small_standard()')": True,
    }.items():
        assert make(spec, Attack).is_black_box() == expected


def test_an_observer_sees_what_a_function_sees_and_is_told_how_iterates_are_judged():
    class Watcher(Observer):
        def __init__(self):
            self.steps, self.count, self.wrong = [], 0, torch.zeros(6, dtype=torch.int64)

        def __call__(self, step, delta):
            self.steps.append((step, delta.clone()))

        def judged(self, rows, misclassified):
            self.count += 1
            self.wrong[rows] += misclassified

    torch.manual_seed(0)
    model, x = torch.nn.Linear(4, 3), torch.rand(6, 4)
    with torch.no_grad():
        y = model(x).argmax(1)
    attack, threat = make("pgd(steps=5, keep_maximising=True)", Attack), make("linf(eps=0.2)")
    watcher, seen = Watcher(), []
    found = attack(model, x, y, threat, observe=watcher)
    attack(model, x, y, threat, observe=lambda step, delta: seen.append((step, delta.clone())))
    assert [step for step, _ in seen] == [step for step, _ in watcher.steps] == list(range(6))
    assert all(torch.equal(one, other) for (_, one), (_, other) in zip(seen, watcher.steps, strict=True))
    with torch.no_grad():
        wrong = sum((Margin()(model(x + delta), y) >= 0).long() for _, delta in watcher.steps)
    # the clean inputs are judged before the iterates, where they are not the first of them
    assert torch.equal(watcher.wrong, wrong)
    assert bool((watcher.wrong > 0)[found.success].all())
    assert inradius.Observer().judged(y, y > 0) is None
