"""Attacks on unions: multi steepest descent, the worst of the parts, and training on the average."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from defense_cases import batch, engine, network
from gradient_cases import SETS, labelled, linear, perceptron, score, threat_of

import inradius
from inradius import Attack, CrossEntropy, InputError, Margin, SpecError, UnsupportedError
from inradius_union import MSD, WorstPart

UNION = "union(linf(eps=0.2), l2(eps=0.55), l1(eps=1.0, k1=1, k2=1))"


def make(spec):
    return inradius.make(spec, Attack)


def watched(attack, *args, **kwargs):
    seen = []
    found = attack(*args, observe=lambda step, delta: seen.append((step, delta)), **kwargs)
    assert [step for step, _ in seen] == list(range(len(seen)))
    return found, [delta for _, delta in seen]


@pytest.mark.parametrize("more", ["", ", keep_maximising=True", ", restarts=3", ", step=0.3, objective=margin()"])
@pytest.mark.parametrize("spec", SETS)
def test_on_one_part_msd_is_pgd(spec, more):
    threat, model = threat_of(spec), perceptron()
    x, y = labelled(model)
    ours = make(f"msd(steps=6{more})")(model, x, y, threat)
    pgd = make(f"pgd(steps=6, random_start=False{more})")(model, x, y, threat)
    assert torch.equal(ours.delta, pgd.delta)
    assert torch.equal(ours.queries, pgd.queries)


@pytest.mark.parametrize("objective", ["cross_entropy()", "margin()"])
def test_each_step_goes_to_the_candidate_of_the_largest_objective(objective):
    union, model = threat_of(UNION), perceptron()
    x, y = labelled(model)
    attack = make(f"msd(steps=5, keep_maximising=True, objective={objective})")
    found, seen = watched(attack, model, x, y, union)
    assert len(seen) == 6
    assert seen[0].eq(0).all()
    taken = set()
    for before, after in pairwise(seen):
        point = (x + before).requires_grad_()
        (gradient,) = torch.autograd.grad(attack.objective(model(point), y).sum(), point)
        parts = zip(union.members(), attack.sizes(union.members()), strict=True)
        moved = [part.project(before + size * part.steepest(gradient, x, before), x) for part, size in parts]
        values = torch.stack([score(attack.objective, model, x, y, delta) for delta in moved])
        torch.testing.assert_close(score(attack.objective, model, x, y, after), values.amax(0), rtol=0, atol=1e-12)
        taken |= set(values.argmax(0).tolist())
    assert taken == {0, 1, 2}
    best = torch.stack([score(attack.objective, model, x, y, delta) for delta in seen]).amax(0)
    torch.testing.assert_close(score(attack.objective, model, x, y, found.delta), best, rtol=0, atol=1e-12)


def test_a_candidate_that_fools_comes_first():
    """Of two candidates the one of larger cross-entropy may be right still; the fooling one ends the attack."""

    def model(x):
        # 0.1 of both inputs lifts the second class just above the label, 0.2 of the other one two classes just below it
        a, b = x[:, :1], x[:, 1:]
        return torch.cat([torch.zeros_like(a), 0.2 * a - 0.01, 9.9 * b - 1.99], 1)

    union = threat_of("union(linf(eps=0.1), l1(eps=0.2, k1=1, k2=1))")
    x, y = torch.tensor([[0.0, 0.0]], dtype=torch.float64), torch.tensor([0])
    quick = make("msd(steps=1, step=1.0)")(model, x, y, union)
    patient = make("msd(steps=1, step=1.0, keep_maximising=True)")(model, x, y, union)
    assert (quick.success.item(), patient.success.item()) == (True, False)
    assert CrossEntropy()(model(x + patient.delta), y) > CrossEntropy()(model(x + quick.delta), y)


def test_queries_are_one_gradient_and_a_candidate_for_each_part():
    union, model = threat_of(UNION), perceptron()
    x, y = labelled(model)
    found = make("msd(steps=5, keep_maximising=True)")(model, x, y, union)
    # five steps of 1 + 3 forward passes, the last iterate, and the judge
    assert found.queries.eq(5 * 4 + 1 + 1).all()


# the steps of multi steepest descent are greedy: it may settle in a part that is not the best
@pytest.mark.parametrize(("attack", "share"), [("msd(steps=60", 0.9), ("worst_part(pgd(steps=60", 0.99)])
def test_on_a_linear_model_the_worst_of_all_parts_is_nearly_found(attack, share):
    union, model = threat_of(UNION), linear(2)
    x, y = labelled(model)
    attack = make(f"{attack}, keep_maximising=True, objective=margin()" + ")" * attack.count("("))
    found = attack(model, x, y, union)
    rows = (model.weight[1 - y] - model.weight[y])[:, None]
    with torch.no_grad():
        exact = union.support(rows, x)[:, 0]
        gain = -found.margin - Margin()(model(x), y)
    assert (gain <= exact + 1e-9).all()
    assert (gain >= share * exact).all()


def test_msd_is_at_least_as_good_as_its_start():
    union, model = threat_of(UNION), perceptron()
    x, y = labelled(model)
    start = make("pgd(steps=20, keep_maximising=True)")(model, x, y, union.members()[1]).delta
    better = make("msd(steps=5, keep_maximising=True)")(model, x, y, union, start=start)
    assert (score(CrossEntropy(), model, x, y, better.delta) >= score(CrossEntropy(), model, x, y, start)).all()


def test_the_default_steps_are_the_thesis_s_and_reach_the_boundary():
    union = threat_of("union(linf(eps=0.3), l2(eps=1.5), l1(eps=12), union(linf(eps=0.1)))")
    assert MSD(steps=100).sizes(union.members()) == pytest.approx((1 / 30, 2 / 15, 1 / 12, 1 / 30))
    assert MSD(steps=10).sizes(union.members()) == (0.25,) * 4
    assert MSD(steps=100).sizes(union.per_example(torch.ones(2)).members()) == MSD(steps=100).sizes(union.members())
    assert MSD(steps=10).sizes(union.members()[:1]) == (0.25,)
    assert MSD(step=0.5).sizes(union.members()) == (0.5,) * 4


def test_wrong_steps_are_refused():
    model, union = perceptron(), threat_of("union(linf(eps=0.3), l2(eps=1.5))")
    x, y = labelled(model)
    with pytest.raises(InputError, match="has 3 steps, but the set has 2 parts; allowed is one step each"):
        make("msd(step=(0.1, 0.2, 0.3))")(model, x, y, union)
    with pytest.raises(SpecError, match=r"step=-0.2 is not allowed; allowed is a finite number > 0"):
        make("msd(step=(0.1, -0.2))")
    with pytest.raises(SpecError, match=r"step=\(\) is not allowed"):
        make("msd(step=())")


@pytest.mark.parametrize("attack", ["msd(steps=5)", "worst_part(pgd(steps=5))", "pgd(steps=5)", "fgsm()"])
def test_a_radius_per_example_is_the_scaled_union(attack):
    union, model, attack = threat_of(UNION), perceptron(), make(attack)
    x, y = labelled(model, 6)
    factors = torch.tensor([1.0, 0.5, 0.0, 2.0, 1.0, 0.5], dtype=torch.float64)
    found = attack(model, x, y, union.per_example(factors))
    for row, factor in enumerate(factors.tolist()):
        one = slice(row, row + 1)
        alone = attack(model, x[one], y[one], union.scaled(factor), index=torch.tensor([row]))
        torch.testing.assert_close(found.delta[one], alone.delta, rtol=0, atol=1e-9)


def test_worst_part_is_the_worst_of_independent_attacks():
    union, model = threat_of(UNION), perceptron()
    x, y = labelled(model, 32)
    inner = make("pgd(steps=8, random_start=False, keep_maximising=True)")
    worst = WorstPart(attack=inner)(model, x, y, union)
    alone = [inner(model, x, y, part) for part in union.members()]
    values = torch.stack([score(CrossEntropy(), model, x, y, found.delta) for found in alone])
    torch.testing.assert_close(score(CrossEntropy(), model, x, y, worst.delta), values.amax(0), rtol=0, atol=1e-9)
    assert len(set(values.argmax(0).tolist())) > 1


def test_worst_part_leaves_fooled_examples_to_rest():
    union, model = threat_of(UNION), perceptron()
    x, y = labelled(model, 32)
    inner = make("pgd(steps=8, random_start=False)")
    worst = WorstPart(attack=inner)(model, x, y, union)
    alone = [inner(model, x, y, part) for part in union.members()]
    assert torch.equal(worst.success, torch.stack([found.success for found in alone]).any(0))
    first = alone[0].success
    assert 0 < first.sum() < 32
    assert torch.equal(worst.delta[first], alone[0].delta[first])
    # each part is scored once more, instead of being judged
    together = torch.stack([found.queries for found in alone]).sum(0) + 1
    assert torch.equal(worst.queries[~worst.success], together[~worst.success])
    assert (worst.queries[first] == alone[0].queries[first] + 1).all()


def test_worst_part_follows_its_attack_unless_told_otherwise():
    union, model = threat_of(UNION), perceptron()
    x, y = labelled(model, 32)
    plain = make("worst_part(pgd(steps=4))")(model, x, y, union)
    told = make("worst_part(pgd(steps=4), keep_maximising=True, objective=margin())")(model, x, y, union)
    assert (told.queries >= plain.queries).all()
    assert (told.queries > plain.queries)[plain.success].any()
    assert not torch.equal(
        make("worst_part(pgd(steps=1, seed=1))")(model, x, y, union).delta,
        make("worst_part(pgd(steps=1))")(model, x, y, union).delta,
    )


@pytest.mark.parametrize("attack", ["msd(steps=4, restarts=2)", "worst_part(pgd(steps=4))"])
def test_iterates_are_shown_for_the_whole_batch(attack):
    union, model = threat_of(UNION), perceptron()
    x, y = labelled(model)
    _, seen = watched(make(attack), model, x, y, union)
    assert len(seen) > 5
    assert all(delta.shape == x.shape for delta in seen)


@pytest.mark.parametrize("attack", ["msd(steps=20)", "worst_part(pgd(steps=20))"])
def test_attacks_aim_at_goals(attack):
    union, model = threat_of(UNION).scaled(3.0), perceptron()
    x, y = labelled(model)
    goal = (y + 1) % 4
    found = make(attack)(model, x, y, union, goal=goal)
    assert found.success.any()
    with torch.no_grad():
        assert torch.equal(model(x + found.delta).argmax(1)[found.success], goal[found.success])


class Deaf(WorstPart):
    """An attack that takes no goal."""

    aims = False

    def perturb(self, batch, *, observe=None):
        return torch.zeros_like(batch.x)


def test_a_goal_that_the_attack_cannot_take_is_refused():
    union, model = threat_of(UNION), perceptron()
    x, y = labelled(model)
    with pytest.raises(UnsupportedError, match="cannot aim at a class"):
        WorstPart(attack=Deaf(attack=make("fgsm()")))(model, x, y, union, goal=(y + 1) % 4)


class Astray(WorstPart):
    """An attack whose answers are far outside of every set."""

    def perturb(self, batch, *, observe=None):
        return torch.full_like(batch.x, 100.0)


def test_an_answer_outside_of_its_part_counts_as_none():
    union, model = threat_of(UNION), perceptron()
    x, y = labelled(model)
    found = WorstPart(attack=Astray(attack=make("fgsm()")))(model, x, y, union)
    assert found.delta.eq(0).all()
    assert found.inside.all()


def test_the_average_has_a_row_of_losses_for_each_part(tmp_path):
    union, model = threat_of("union(linf(eps=0.2), l2(eps=0.5))"), network()
    defense = inradius.make("average_parts(pgd(steps=3, keep_maximising=True))", inradius.Defense)
    run = engine(tmp_path, model, defense)
    value = defense.loss(model.train(), batch(), union, run)
    expected = []
    for part in union.members():
        delta = run.reseeded(defense.attack)(model, batch().inputs, batch().labels, part, index=batch().index).delta
        expected.append(F.cross_entropy(model(batch().inputs + delta), batch().labels, reduction="none"))
    torch.testing.assert_close(value, torch.stack(expected))
    # their mean is what is descended
    value.sum().backward()
    rows = [parameter.grad.clone() for parameter in model.parameters()]
    run.backward(defense.loss(model, batch(), union, run))
    for parameter, gradient in zip(model.parameters(), rows, strict=True):
        torch.testing.assert_close(parameter.grad, gradient / 24)
    held = defense.score(model, batch(), union, run)
    parts = [~defense.attack(model, batch().inputs, batch().labels, part).success for part in union.members()]
    assert torch.equal(held, torch.stack(parts).all(0))
