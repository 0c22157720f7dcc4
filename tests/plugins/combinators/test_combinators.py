"""Attacks made of attacks: what each adds to its members."""

import attrs
import pytest
import torch
from gradient_cases import SETS, images, labelled, linear, perceptron, threat_of, worst_margins
from in_turn import in_turn
from torch import nn

import inradius
from inradius import Attack, Margin, SpecError, UnsupportedError
from inradius.testing import check_attack, laws
from inradius.testing.strategies import inputs

COMBINATORS = [
    "restarts(pgd(steps=3), n=2)",
    "restarts(pgd(steps=3, keep_maximising=True), 2)",
    "restarts(grow(start=0.5, factor=1.5, every=1, steps=2), n=2)",
    "worst(pgd(steps=3), fgsm())",
    "worst(grow(start=0.5, factor=1.5, every=1, steps=2), fgsm())",
    "attack_cascade(fgsm(), pgd(steps=3, seed=2), seed=1)",
    "attack_cascade(grow(start=0.5, factor=1.5, every=1, steps=2), worst(fgsm(), pgd(steps=2)))",
    "eot(pgd(steps=3), samples=2)",
]
THREATS = ["l2(eps=0.5, bounds=None)", "union(linf(eps=0.1), l1(eps=1.0))"]
STEADY = ["fgsm()", "pgd(steps=4, random_start=False)", "pgd(steps=4, random_start=False, objective=margin())"]


def attack_of(spec):
    return inradius.make(spec, Attack)


@attrs.frozen(kw_only=True)
class Fixed(Attack):
    """An attack whose answer is a constant, or nothing finite; it counts its calls by queries."""

    size: float = 0.0

    def perturb(self, batch, *, observe=None):
        return torch.full_like(batch.x, self.size)


@attrs.frozen(kw_only=True)
class Smallest(Fixed):
    minimal = True


@pytest.mark.parametrize(("spec", "threat"), in_turn(COMBINATORS, THREATS))
def test_laws(spec, threat):
    check_attack(spec, threat, shape=(1, 2, 2), examples=2)


@pytest.mark.parametrize(
    "spec",
    [
        "attack_cascade(fgsm(), frank_wolfe(steps=2))",
        "worst(fgsm(), frank_wolfe(steps=2))",
        "restarts(eot(fgsm(), 2), 2)",
    ],
)
def test_laws_where_mass_moves(spec):
    images = inputs((1, 2, 2), (0.0, 1.0), batch=2)
    check_attack(spec, "wasserstein(eps=0.1)", shape=(1, 2, 2), inputs=images, examples=2)


@pytest.mark.parametrize("law", laws(Attack))
@pytest.mark.parametrize("spec", ["worst(pgd(steps=2), fgsm())", "attack_cascade(fgsm(), pgd(steps=2))"])
def test_each_law_by_itself(spec, law):
    check_attack(spec, "linf(eps=0.1)", only=[law], examples=3)


@pytest.mark.parametrize("spec", SETS)
def test_linear_models_are_fooled_exactly_where_they_can_be(spec):
    threat, model = threat_of(spec), linear(2)
    x, y = labelled(model, 32)
    worst = worst_margins(model, x, y, threat).amin(1)
    for attack in ("worst(fgsm(), pgd(steps=2))", "attack_cascade(pgd(steps=1), fgsm())", "restarts(fgsm(), n=2)"):
        found = attack_of(attack)(model, x, y, threat)
        assert torch.equal(found.success, worst <= 0)
    kept = attack_of("worst(pgd(steps=1), fgsm())")(model, x, y, threat)
    torch.testing.assert_close(kept.margin, worst)


@pytest.mark.parametrize("threat", ["linf(eps=0.1)", "l2(eps=0.5)"])
def test_worst_has_the_smallest_margin_of_its_members(threat):
    model, threat = perceptron(), threat_of(threat)
    x, y = labelled(model)
    margins = [attack_of(spec)(model, x, y, threat).margin for spec in STEADY]
    found = attack_of(f"worst({', '.join(STEADY)})")(model, x, y, threat)
    torch.testing.assert_close(found.margin, torch.stack(margins).amin(0))


def test_a_cascade_breaks_what_a_member_breaks_and_attacks_only_what_is_left():
    model, threat = perceptron(), threat_of("linf(eps=0.4)")
    x, y = labelled(model, 32)
    y[0] = (y[0] + 1) % 4
    alone = [attack_of(spec)(model, x, y, threat) for spec in STEADY]
    found = attack_of(f"attack_cascade({', '.join(STEADY)})")(model, x, y, threat)
    assert torch.equal(found.success, torch.stack([one.success for one in alone]).any(0))
    assert len(set(alone[0].success.tolist())) == 2
    first = alone[0].success.clone()
    first[0] = False
    # the clean image, the gradient of fgsm, its answer, the judge
    assert found.queries[first].unique().tolist() == [4]
    assert found.queries[0] == 2
    assert bool((found.queries[~alone[0].success] > 4).all())
    torch.testing.assert_close(found.delta[first], alone[0].delta[first])


def test_restarts_only_help_and_leave_out_what_is_fooled():
    model, threat = perceptron(), threat_of("linf(eps=0.4)")
    x, y = labelled(model, 64)
    once, often = (attack_of(f"restarts(pgd(steps=2), n={n})")(model, x, y, threat) for n in (1, 8))
    assert bool((often.success >= once.success).all())
    assert int(often.success.sum()) > int(once.success.sum())
    assert torch.equal(often.queries[once.success], once.queries[once.success])
    assert torch.equal(often.delta[once.success], once.delta[once.success])


def test_restarts_of_one_that_keeps_maximising_keep_the_largest_objective():
    model, threat = perceptron(), threat_of("linf(eps=0.4)")
    x, y = labelled(model)
    inner = "pgd(steps=2, objective=margin(), keep_maximising=True)"
    once, often = (attack_of(f"restarts({inner}, n={n})")(model, x, y, threat) for n in (1, 6))
    assert bool((often.margin <= once.margin).all())
    assert bool((often.margin < once.margin)[once.success].any())


@pytest.mark.parametrize("spec", ["restarts({}, n=3)", "worst({})", "attack_cascade({})"])
@pytest.mark.parametrize("size", [5.0, float("nan")])
def test_answers_outside_of_the_set_count_as_none(spec, size, register, recwarn):
    register(attacks=[Fixed])
    model = linear(2)
    x, y = labelled(model)
    inner = attack_of(spec.format("fgsm()"))
    field = "attack" if "attack" in attrs.fields_dict(type(inner)) else "members"
    member = Fixed(size=size)
    found = attrs.evolve(inner, **{field: member if field == "attack" else (member, member)})(
        model, x, y, threat_of("linf(eps=0.1)")
    )
    assert not found.delta.any()
    assert found.inside.all()
    assert not found.success.any()
    assert not recwarn


def test_a_minimal_answer_counts_in_a_cascade_only_within_the_set():
    model, threat = linear(2), threat_of("linf(eps=0.1, bounds=None)")
    x, y = labelled(model, 32)
    grow = "grow(start=0.25, factor=1.2, every=3, steps=60)"
    radii = attack_of(grow)(model, x, y, threat)
    found = attack_of(f"attack_cascade({grow})")(model, x, y, threat)
    assert bool((radii.margin <= 0)[radii.gauge > 1.01].any())
    assert found.inside.all()
    assert torch.equal(found.success, radii.success)


def test_the_worst_of_minimal_attacks_is_the_smallest_that_fools():
    model, threat = perceptron(), threat_of("linf(eps=0.1, bounds=None)")
    x, y = labelled(model, 32)
    members = [f"grow({inner}, start=0.1, factor=1.3, every=2, steps=40)" for inner in STEADY[:2]]
    radii = [
        one.gauge.where(one.margin <= 0, torch.inf) for one in (attack_of(s)(model, x, y, threat) for s in members)
    ]
    attack = attack_of(f"worst({', '.join(members)})")
    found = attack(model, x, y, threat)
    least = torch.stack(radii).amin(0)
    fooled = least.isfinite()
    assert attack.minimal
    assert not attack_of(f"worst({members[0]}, fgsm())").minimal
    torch.testing.assert_close(found.gauge[fooled], least[fooled])
    assert bool((found.gauge > 1)[fooled].any())
    assert attack_of(f"restarts({members[0]})").minimal


def test_starts_iterates_and_goals_reach_the_members():
    model, threat = perceptron(), threat_of("linf(eps=0.3, bounds=None)")
    x, y = labelled(model)
    goal, start, seen = (y + 1) % 4, torch.full_like(x, 0.01), []
    attack = attack_of("attack_cascade(restarts(pgd(steps=2), n=2), worst(fgsm(), eot(pgd(steps=5), 2)))")
    found = attack(model, x, y, threat, goal=goal, start=start, observe=lambda step, delta: seen.append((step, delta)))
    assert [step for step, _ in seen] == list(range(len(seen)))
    torch.testing.assert_close(seen[0][1], start)
    reached = model(x + found.delta).argmax(1) == goal
    assert bool(found.success.any())
    assert torch.equal(found.success, reached)


def test_a_goal_that_a_member_cannot_aim_at_is_refused(register):
    register(attacks=[Fixed])
    x, y = labelled(linear(2))
    with pytest.raises(UnsupportedError, match=r"a goal was given, and fixed\(\) cannot aim at a class"):
        attack_of("attack_cascade(pgd(), worst(fgsm(), fixed()))")(
            linear(2), x, y, threat_of("linf(eps=0.1)"), goal=1 - y
        )


class Noisy(nn.Module):
    """A network that shifts its input at random, alike for the whole batch."""

    def __init__(self, model, size):
        super().__init__()
        self.model, self.size = model, size

    def forward(self, x):
        return self.model(x + self.size * torch.randn_like(x[:1]))


def test_expectation_sees_through_noise():
    plain, threat = perceptron(), threat_of("linf(eps=0.05, bounds=None)")
    x, y = labelled(plain, 64)
    torch.manual_seed(0)
    model = Noisy(plain, 1.0)
    inner = "pgd(steps=10, random_start=False, objective=margin(), keep_maximising=True)"

    def drop(spec):
        """How far an attack lowers the mean margin."""
        delta = attack_of(spec)(model, x, y, threat).delta
        with torch.no_grad():
            runs = [Margin()(model(x + delta), y).mean() - Margin()(model(x), y).mean() for _ in range(200)]
        return float(torch.stack(runs).mean())

    assert drop(f"eot({inner}, samples=30)") > drop(inner) + 0.01


def test_expectation_of_a_fixed_model_is_the_attack_itself():
    model, threat = perceptron(), threat_of("linf(eps=0.1)")
    x, y = labelled(model)
    once = attack_of("pgd(steps=4, random_start=False)")(model, x, y, threat)
    found = attack_of("eot(pgd(steps=4, random_start=False), samples=4)")(model, x, y, threat)
    torch.testing.assert_close(found.delta, once.delta)
    # the judge asks once
    assert torch.equal(found.queries - 1, 4 * (once.queries - 1))


@pytest.mark.parametrize("classes", [2, 3, 1000])
@pytest.mark.parametrize("shape", [(6,), (1, 4, 4), (5, 3)])
def test_any_number_of_classes_and_any_shape(classes, shape):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(shape).numel(), classes)).double()
    x = torch.rand(6, *shape, dtype=torch.float64)
    y = model(x).argmax(1)
    for spec in COMBINATORS:
        found = attack_of(spec)(model, x, y, threat_of("linf(eps=0.2)"))
        assert found.delta.shape == x.shape
        assert bool((found.success == (found.margin <= 0) & found.inside).all())


def test_batches_of_none():
    model, x = linear(2), images(0)
    for spec in COMBINATORS:
        assert len(attack_of(spec)(model, x, torch.zeros(0, dtype=torch.int64), threat_of("linf(eps=0.1)")).delta) == 0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("worst()", "are no attacks"),
        ("attack_cascade()", "are no attacks"),
        ("worst(pgd(), linf(eps=0.1))", "linf.* is no attack"),
        ("restarts(linf(eps=0.1))", "kind Attack"),
        ("restarts(pgd(), n=0)", "n=0"),
        ("restarts()", "attack"),
        ("eot(pgd(), samples=0)", "samples=0"),
    ],
)
def test_what_is_no_attack_is_refused(spec, message):
    with pytest.raises(SpecError, match=message):
        attack_of(spec)


def test_members_can_be_named_and_listed():
    attack = attack_of("attack_cascade(fgsm(), pgd(steps=3))")
    assert [str(member) for member in attack.members] == ["fgsm()", "pgd(steps=3)"]
    assert type(attack)(members=list(attack.members)) == attack
    assert attack_of(attack.spec(full=True)) == attack


@pytest.mark.parametrize(
    "spec", ["spsa(steps=2, samples=2)", "hop_skip_jump(queries=30)", "transfer(fgsm(), model='mnist_small_standard')"]
)
@pytest.mark.parametrize("outcome", ["top1", "top_k(k=2)"])
def test_expectation_of_attacks_that_ask_about_copies_or_another_model(spec, outcome):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 3)).eval()
    x, threat = torch.rand(4, 1, 28, 28), threat_of("linf(eps=0.1)")
    y, outcome = network(x).argmax(1), inradius.make(outcome, inradius.Outcome)
    found = attack_of(f"eot({spec}, samples=2)")(network, x, y, threat, outcome=outcome)
    assert found.delta.shape == x.shape
    torch.testing.assert_close(found.margin, outcome.judged(network(x + found.delta), y))
