"""Growing sets: the smallest radius at which an attack succeeds."""

import pytest
import torch
from gradient_cases import images, labelled, linear, perceptron, threat_of, worst_margins

import inradius
from inradius import Attack, SpecError
from inradius.testing import check_attack, laws

SETS = ["linf(eps=0.2, bounds=None)", "l2(eps=0.5, bounds=None)", "linf(eps=0.2)"]


def attack_of(spec):
    return inradius.make(spec, Attack)


@pytest.mark.parametrize("law", laws(Attack))
@pytest.mark.parametrize(
    "spec",
    [
        pytest.param("grow(steps=30)", marks=pytest.mark.slow),
        "grow(fgsm(), steps=6, every=2, factor=1.5)",
        "grow(start=0.5, factor=1.5, steps=40, limit=1.0)",
    ],
)
def test_laws(spec, law):
    check_attack(spec, "linf(eps=0.1)", only=[law])


def least_radii(model, x, y, threat, radii):
    """The first of the radii at which the linear model can be fooled, inf where there is none."""
    broken = torch.stack([worst_margins(model, x, y, threat.scaled(radius)).amin(1) <= 0 for radius in radii])
    first = torch.where(broken, torch.tensor(radii, dtype=x.dtype)[:, None], torch.inf)
    return first.amin(0)


@pytest.mark.parametrize("inner", ["pgd()", "pgd(random_start=False)", "frank_wolfe()", "fgsm()"])
@pytest.mark.parametrize("spec", SETS)
def test_a_linear_model_is_fooled_at_the_first_radius_that_can(inner, spec):
    model, threat = linear(2), threat_of(spec)
    x, y = labelled(model)
    attack = attack_of(f"grow({inner}, start=0.05, factor=1.3, every=5, steps=80)")
    radii = [0.05 * 1.3**stage for stage in range(16)]
    least = least_radii(model, x, y, threat, radii)
    assert len(set(least.tolist())) > 3
    found = attack(model, x, y, threat)
    reached = least.isfinite()
    assert bool(((found.gauge <= least * (1 + 1e-9)) | ~reached).all())
    # the radius before would not have been enough
    assert bool(((found.gauge >= least / 1.3 * (1 - 1e-9)) | (least == 0.05) | ~reached).all())
    assert bool(((found.margin <= 0) == reached).all())
    assert found.success.tolist() == (reached & found.inside).tolist()


def test_each_example_may_have_a_radius_of_its_own():
    model, threat = perceptron(), threat_of("linf(eps=0.3)")
    x, y = labelled(model)
    attack = attack_of("grow(start=0.1, factor=1.5, steps=60)")
    factors = torch.linspace(0.2, 2, len(x), dtype=torch.float64)
    together = attack(model, x, y, threat.per_example(factors))
    for row, factor in enumerate(factors.tolist()):
        alone = attack(model, x[[row]], y[[row]], threat.scaled(factor), index=torch.tensor([row]))
        torch.testing.assert_close(together.delta[[row]], alone.delta)
    torch.testing.assert_close(
        attack(model, x, y, threat.per_example(torch.ones(16))).delta, attack(model, x, y, threat).delta
    )


@pytest.mark.parametrize("spec", [*SETS, "union(linf(eps=0.2), l2(eps=0.5))"])
def test_with_a_limit_every_radius_is_within_it(spec):
    model, threat = perceptron(), threat_of(spec).scaled(3.0)
    x, y = labelled(model)
    attack = attack_of("grow(start=0.2, factor=1.7, every=3, steps=30, limit=1.0)")
    assert [radius for radius, _ in attack._stages()] == pytest.approx([0.2, 0.34, 0.578, 0.9826, *[1.0] * 6])
    found = attack(model, x, y, threat)
    assert not attack.minimal
    assert bool(found.inside.all())
    assert bool((found.gauge[found.margin > 0] > 0.9).all())
    free = attack_of("grow(start=0.2, factor=1.7, every=3, steps=30)")(model, x, y, threat)
    early = free.gauge < 0.98
    assert bool(early.any())
    torch.testing.assert_close(found.delta[early], free.delta[early])
    assert attack_of("grow(limit=1.5)").minimal
    assert attack_of("grow()").minimal


def test_only_those_that_stand_are_attacked_further():
    model = linear(2)
    x, y = labelled(model)
    y[:4] = 1 - y[:4]
    found = attack_of("grow(start=0.05, factor=1.3, every=5, steps=80)")(model, x, y, threat_of(SETS[0]))
    assert not found.delta[:4].any()
    assert found.queries[:4].tolist() == [2] * 4
    order = found.gauge[4:].argsort()
    queries = found.queries[4:][order]
    assert bool((queries[1:] >= queries[:-1]).all())
    assert queries[0] < queries[-1]


def test_what_is_not_fooled_keeps_its_last_perturbation_within_the_set():
    x, y = images(), torch.zeros(16, dtype=torch.int64)
    found = attack_of("grow(start=0.5, factor=1.5, every=5, steps=30)")(steadfast, x, y, threat_of("l2(eps=0.5)"))
    assert bool(found.inside.all() & (found.margin > 0).all() & (found.delta != 0).flatten(1).any(1).all())
    assert not found.success.any()


def steadfast(x):
    """Logits that no perturbation turns."""
    return torch.stack([10 + x.sum(1), x.sum(1) * 0], 1)


def test_stages_continue_and_the_iterates_are_shown():
    model = linear(2)
    x, y = labelled(model)
    seen = []
    attack = attack_of("grow(start=0.05, factor=1.3, every=5, steps=7)")
    found = attack(model, x, y, threat_of(SETS[1]), observe=lambda step, delta: seen.append((step, delta.clone())))
    assert [step for step, _ in seen] == list(range(len(seen)))
    assert len(seen) <= 6 + 3
    start = torch.full_like(x, 0.01)
    begun = []
    attack(model, x, y, threat_of(SETS[1]), start=start, observe=lambda step, delta: begun.append(delta.clone()))
    standing = ~(model(x).argmax(1) != y)
    assert bool((begun[0][standing] != 0).any())
    assert not seen[0][1].any()
    # the clean images, each stage's start and steps and its answer, the clean images again in the second, the judge
    assert found.queries.max() == 1 + (1 + 5 + 1) + (1 + 1 + 2 + 1) + 1


def test_goals_reach_the_inner_attack():
    model = perceptron()
    x, y = labelled(model)
    goal = (y + 1) % 4
    found = attack_of("grow(start=0.5, factor=1.5, steps=60)")(
        model, x, y, threat_of("linf(eps=1.0, bounds=None)"), goal=goal
    )
    reached = model(x + found.delta).argmax(1) == goal
    assert bool(reached.any())
    assert bool((reached | ~found.success).all())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("grow(factor=1)", "does not grow"),
        ("grow(start=0)", "start=0"),
        ("grow(every=0)", "every=0"),
        ("grow(steps=0)", "steps=0"),
    ],
)
def test_schedules_that_do_not_grow_are_refused(spec, message):
    with pytest.raises(SpecError, match=message):
        attack_of(spec)


def test_the_default_is_the_schedule_of_the_thesis():
    attack = attack_of("grow()")
    radii = [radius for radius, _ in attack._stages()]
    assert len(radii) == 20
    assert radii[0] == 0.3
    assert radii[-1] == pytest.approx(0.3 * 1.1**19)
    assert all(inner.steps == 10 for _, inner in attack._stages())
    assert inradius.make(str(attack_of("grow(fgsm())")), Attack) == attack_of("grow(fgsm())")
