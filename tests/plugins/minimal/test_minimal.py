"""Minimal-norm attacks: laws, closed forms on linear models, what they owe each other."""

import pytest
import torch
from in_turn import in_turn
from minimal_cases import SETS, Tilted, attack_of, images, labelled, least_gauges, linear, perceptron, threat_of

import inradius
from inradius import SpecError, UnsupportedError
from inradius.testing import check_attack, inputs

# how far above the closed form an answer may be: one projection is exact but for the box, the others end near it
SLACK = {"deepfool": 1e-2, "fab": 5e-3, "fab_t": 5e-3, "ddn": 2e-2, "fmn": 2e-2}
ANY = [
    "deepfool()",
    "ddn(steps=60)",
    "fmn(steps=60)",
    "fab(steps=6)",
    "fab_t(steps=6)",
]
SHORT = ["deepfool(steps=4)", "ddn(steps=5)", "fmn(steps=5)", "fab(steps=3, restarts=2)", "fab_t(steps=3, classes=2)"]
FIXED = {"cw(searches=3, steps=8)": "l2(eps=0.5)", "ead(searches=3, steps=8)": "l1(eps=1.0)"}


@pytest.mark.parametrize("spec", SHORT)
def test_laws(spec):
    check_attack(spec, "union(linf(eps=0.2), l2(eps=0.5))", shape=(1, 2, 2), examples=1)


@pytest.mark.slow
@pytest.mark.parametrize("threat", [*SETS, "union(linf(eps=0.2), l1(eps=1.1))", Tilted(eps=0.6)], ids=str)
@pytest.mark.parametrize("spec", SHORT)
def test_laws_on_every_set(spec, threat):
    check_attack(attack_of(spec), threat, shape=(1, 2, 2), examples=6)


@pytest.mark.parametrize("spec", [SHORT[0], SHORT[2]])
def test_laws_on_a_strange_set(spec):
    check_attack(attack_of(spec), Tilted(eps=0.6), shape=(1, 2, 2), examples=1)


@pytest.mark.parametrize("spec", SHORT[:3])
def test_laws_under_moved_mass(spec):
    check_attack(spec, "wasserstein(eps=0.1)", shape=(1, 2, 2), inputs=inputs((1, 2, 2), batch=2), examples=1)


@pytest.mark.parametrize(("spec", "threat"), FIXED.items())
def test_laws_of_one_norm(spec, threat):
    check_attack(spec, f"union(linf(eps=0.1), {threat[:-1]}, bounds=None))", shape=(1, 2, 2), examples=1)


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "threat"), FIXED.items())
def test_laws_of_one_norm_on_more_cases(spec, threat):
    check_attack(spec, threat, shape=(1, 2, 3), examples=6)


@pytest.mark.parametrize(("spec", "threat"), in_turn(ANY, SETS))
def test_linear_models_are_fooled_at_the_smallest_gauge(spec, threat):
    name = spec.split("(")[0]
    # steps along the objective's gradient may pursue a class that is not the nearest
    model, around = linear(2 if name in ("ddn", "fmn") else 4), threat_of(threat)
    x, y = labelled(model)
    least = least_gauges(model, x, y, around)
    found = attack_of(spec)(model, x, y, around)
    reachable = least < 60
    assert int(reachable.sum()) > 8
    assert torch.equal(found.margin <= 0, reachable)
    ratio = (found.gauge / least)[reachable]
    assert float(ratio.min()) >= 1 - 1e-9
    # ddn keeps to the direction of the gradient, which in ℓ∞ and ℓ1 is not that of the nearest point
    assert float(ratio.max()) <= 1 + (0.4 if name == "ddn" and "l2" not in threat else SLACK[name])


@pytest.mark.parametrize(
    "threat", ["linf(eps=0.2, bounds=None)", "l2(eps=0.5, bounds=None)", "l1(eps=1.0, bounds=None)"]
)
@pytest.mark.parametrize("spec", ["deepfool()", "fab(steps=6)", "fab_t(steps=6)"])
def test_without_a_box_projections_are_exact(spec, threat):
    model, around = linear(4), threat_of(threat)
    x, y = labelled(model)
    found = attack_of(spec)(model, x, y, around)
    torch.testing.assert_close(found.gauge, least_gauges(model, x, y, around), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "threat",
    ["wasserstein(eps=0.1)", pytest.param("intersection(linf(eps=0.2), l2(eps=0.4))", marks=pytest.mark.slow)],
)
def test_linear_models_are_fooled_at_the_smallest_gauge_of_any_set(threat):
    around = threat_of(threat)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 3).double())
    x = torch.rand(3, 1, 2, 3, dtype=torch.float64)
    y = model(x).argmax(1)
    found = attack_of("deepfool()")(model, x, y, around)
    reached = found.margin <= 0
    assert bool(reached.any())
    # a little less than the radius that was found is not enough for any class
    smaller = around.per_example(torch.where(reached, found.gauge * (1 - 1e-2), 0.0))
    rows = (model[1].weight[None] - model[1].weight[y][:, None]).detach().view(3, 3, 1, 2, 3)
    logits = model(x).detach()
    best = logits - logits.gather(1, y[:, None]) + smaller.support(rows, x)
    best = best.scatter(1, y[:, None], -torch.inf).amax(1)
    assert bool((best[reached] < 0).all())


@pytest.mark.parametrize(("spec", "threat"), [("cw(searches=5)", "l2(eps=0.5)"), ("ead(searches=5)", "l1(eps=1.0)")])
def test_attacks_of_one_norm_come_near_the_smallest_gauge(spec, threat):
    model, around = linear(4), threat_of(threat)
    x, y = labelled(model)
    least = least_gauges(model, x, y, around)
    found = attack_of(spec)(model, x, y, around)
    assert bool((found.margin <= 0).all())
    assert float((found.gauge / least).median()) <= 1.1


@pytest.mark.parametrize("spec", [*SHORT, *FIXED])
def test_a_wrong_label_needs_no_perturbation(spec):
    model = perceptron()
    x, y = labelled(model)
    y[::2] = (y[::2] + 1) % 4
    found = attack_of(spec)(model, x, y, threat_of(FIXED.get(spec, "l2(eps=0.5)")))
    assert not found.delta[::2].any()
    assert bool(found.success[::2].all() & (found.gauge[::2] == 0).all())
    assert set(found.queries[::2].tolist()) == {2}


@pytest.mark.parametrize("spec", [*SHORT, *FIXED])
def test_where_nothing_fools_the_answer_is_no_perturbation(spec):
    found = attack_of(spec)(
        steadfast, images(), torch.zeros(16, dtype=torch.int64), threat_of(FIXED.get(spec, SETS[1]))
    )
    assert not found.delta.any()
    assert not found.success.any()
    assert bool((found.margin > 0).all())


def steadfast(x):
    """Logits that no perturbation of the box turns."""
    return torch.stack([20 + x.sum(1), x.sum(1) * 0], 1)


@pytest.mark.parametrize(
    "spec", ["deepfool()", "ddn(steps=20)", "fmn(steps=20)", "fab(steps=3)", "cw(searches=2, steps=20)"]
)
def test_the_budget_changes_nothing_but_the_success(spec):
    model = perceptron()
    x, y = labelled(model)
    small, large = (attack_of(spec)(model, x, y, threat_of(f"l2(eps={eps})")) for eps in (0.01, 4.0))
    torch.testing.assert_close(small.gauge * 0.01, large.gauge * 4, rtol=1e-3, atol=1e-9)
    assert int(small.success.sum()) == 0
    assert torch.equal(large.success, large.margin <= 0)


@pytest.mark.parametrize("threat", SETS[:3])
def test_the_attacks_agree(threat):
    model, around = perceptron(), threat_of(threat)
    x, y = labelled(model)
    found = [
        attack_of(spec)(model, x, y, around)
        for spec in ("fab_t(steps=20)", "fmn(steps=60)", "ddn(steps=60)", "deepfool()")
    ]
    assert all(bool((each.margin <= 0).all()) for each in found)
    mean = torch.stack([each.gauge for each in found]).mean(1)
    assert float(mean[:3].max() / mean.min()) < 1.2
    assert float(mean[3] / mean.min()) < 1.7


def fooling_gauges(spec, model, x, y, threat):
    found = attack_of(spec)(model, x, y, threat)
    return torch.where(found.margin <= 0, found.gauge, torch.inf)


def test_a_union_takes_the_part_that_needs_least():
    model = perceptron()
    x, y = labelled(model)
    parts = ["linf(eps=0.1)", "l2(eps=0.3)"]
    for spec in ("deepfool()", "ddn(steps=30)", "fab(steps=5)"):
        alone = torch.stack([fooling_gauges(spec, model, x, y, threat_of(part)) for part in parts]).amin(0)
        together = fooling_gauges(spec, model, x, y, threat_of(f"union({', '.join(parts)})"))
        # what was found for one part may be smaller as the other measures it
        assert bool((together <= alone * (1 + 1e-6)).all())
        assert float((together > alone * (1 - 1e-6)).double().mean()) > 0.8


def test_each_example_may_have_a_radius_of_its_own():
    model, around = perceptron(), threat_of("l2(eps=0.5)")
    x, y = labelled(model)
    factors = torch.linspace(0.2, 2, len(x), dtype=torch.float64)
    for spec in ["deepfool()", "ddn(steps=10)", "fmn(steps=10)", "fab(steps=3)", "cw(searches=2, steps=10)"]:
        whole, each = attack_of(spec)(model, x, y, around), attack_of(spec)(model, x, y, around.per_example(factors))
        torch.testing.assert_close(each.gauge * factors, whole.gauge, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("spec", [*ANY, "cw(steps=60)"])
def test_with_a_goal_the_answer_is_predicted_as_the_goal(spec):
    model, around = linear(3), threat_of("l2(eps=0.5, bounds=None)")
    x, y = labelled(model)
    goal = (y + 1) % 3
    found = attack_of(spec)(model, x, y, around, goal=goal)
    reached = model(x + found.delta).argmax(1) == goal
    assert torch.equal(reached, found.margin < 0)
    assert bool((reached | ~found.delta.flatten(1).any(1)).all())
    if spec.startswith(("cw", "ddn", "fmn")):
        # a step to the nearest boundary may go from one rival of the goal to the other
        assert bool(reached.all())


@pytest.mark.parametrize("spec", [*SHORT, *FIXED])
def test_the_search_begins_at_the_start(spec):
    model, around = perceptron(), threat_of(FIXED.get(spec, "l2(eps=0.5)"))
    x, y = labelled(model)
    shown = []
    start = torch.full_like(x, 0.01)
    attack_of(spec)(model, x, y, around, start=start, observe=lambda step, delta: shown.append((step, delta)))
    assert [step for step, _ in shown] == list(range(len(shown)))
    assert all(delta.shape == x.shape for _, delta in shown)
    if not spec.startswith(("cw", "ead", "deepfool")):
        inside = (x + start).clamp(0, 1) - x
        torch.testing.assert_close(shown[0][1], inside)


@pytest.mark.parametrize("classes", [2, 3, 1000])
@pytest.mark.parametrize("spec", SHORT)
def test_few_and_many_classes(spec, classes):
    model = linear(classes)
    x, y = labelled(model, 4)
    found = attack_of(spec.replace("steps=5", "steps=30"))(model, x, y, threat_of("linf(eps=0.5, bounds=None)"))
    assert bool((found.margin <= 0).all())


@pytest.mark.parametrize("spec", [*SHORT, *FIXED])
def test_sequences_are_attacked_in_single_precision(spec):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv1d(2, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(15, 4))
    x = torch.rand(3, 2, 7)
    y = model(x).argmax(1)
    found = attack_of(spec)(model, x, y, threat_of(FIXED.get(spec, "l2(eps=3.0)")))
    assert found.delta.dtype == torch.float32
    assert bool(((x + found.delta >= -1e-6) & (x + found.delta <= 1 + 1e-6)).all())


def test_pixels_are_counted_by_the_set_of_few_pixels():
    model = perceptron()
    x, y = labelled(model)
    found = attack_of("fmn(steps=40)")(model, x, y, threat_of("l0(k=1)"))
    fooled = found.margin <= 0
    assert float(fooled.float().mean()) > 0.6
    assert torch.equal(found.gauge, (found.delta != 0).sum(1).double())


@pytest.mark.parametrize("spec", ["fab()", "fab_t()"])
def test_means_need_convex_sets(spec):
    x, y = labelled(perceptron())
    with pytest.raises(UnsupportedError, match="not convex"):
        attack_of(spec)(perceptron(), x, y, threat_of("l0(k=2)"))


@pytest.mark.parametrize(("spec", "measure"), [("cw()", "ℓ2"), ("ead()", "ℓ1")])
def test_attacks_of_one_norm_say_what_they_measure(spec, measure):
    x, y = labelled(perceptron())
    with pytest.raises(UnsupportedError, match=f"measured in another way than {measure}"):
        attack_of(spec)(perceptron(), x, y, threat_of("linf(eps=0.1)"))


@pytest.mark.parametrize("spec", [*SHORT, *FIXED])
def test_models_without_gradients_are_refused(spec):
    x, y = labelled(perceptron())

    def silent(images):
        return perceptron()(images.detach())

    with pytest.raises(UnsupportedError, match="no gradient"):
        attack_of(spec)(silent, x, y, threat_of(FIXED.get(spec, SETS[1])))


@pytest.mark.parametrize("spec", [*SHORT, *FIXED])
def test_a_constant_model_is_not_fooled(spec):
    x = images(3)

    def constant(images):
        return images.sum(1, keepdim=True) * 0 + torch.tensor([[1.0, 0.0]], dtype=images.dtype)

    found = attack_of(spec)(constant, x, torch.zeros(3, dtype=torch.int64), threat_of(FIXED.get(spec, SETS[1])))
    assert not found.success.any()
    assert bool(torch.isfinite(found.delta).all())


def test_fab_stops_where_a_gauge_is_enough():
    model, around = perceptron(), threat_of("l2(eps=1.2)")
    x, y = labelled(model)
    patient, hasty = (attack_of(f"fab_t(steps=10{more})")(model, x, y, around) for more in ("", ", enough=1.0"))
    assert torch.equal(patient.success, hasty.success)
    assert hasty.queries.sum() < patient.queries.sum()
    assert bool((hasty.gauge >= patient.gauge * (1 - 1e-6)).all())


def test_polish_shortens_the_answers():
    model, around = perceptron(), threat_of("l2(eps=0.5)")
    x, y = labelled(model)
    rough, fine = (attack_of(f"deepfool(polish={passes})")(model, x, y, around) for passes in (0, 6))
    assert bool((fine.gauge <= rough.gauge).all())
    assert float((fine.gauge < rough.gauge).double().mean()) > 0.8
    assert float(fine.margin.abs().median()) < 1e-6 < float(rough.margin.abs().median())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("deepfool(steps=0)", "steps=0"),
        ("deepfool(overshoot=-1)", "overshoot=-1"),
        ("ddn(gamma=2)", "gamma=2"),
        ("fmn(step=0)", "step=0"),
        ("fab(alpha=1.5)", "alpha=1.5"),
        ("fab_t(enough=0)", "enough=0"),
        ("cw(searches=0)", "searches=0"),
        ("cw(constant=0)", "constant=0"),
        ("ead(rule='l2')", "rule"),
        ("ead(beta=-1)", "beta=-1"),
        ("fmn(polish=-1)", "polish=-1"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(spec, message):
    with pytest.raises(SpecError, match=message):
        attack_of(spec)


def test_specs_build_equal_attacks():
    for spec in (*ANY, *FIXED, "ead(rule='en', momentum=False)"):
        assert inradius.make(str(attack_of(spec)), inradius.Attack) == attack_of(spec)
