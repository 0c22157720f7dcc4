"""MIM, the attacks of one step from noise, sparse ℓ1 descent, and PGD along the raw gradient."""

import math
from itertools import pairwise
from typing import Self

import attrs
import pytest
import torch
from gradient_cases import SETS, SIZE, images, labelled, linear, perceptron, threat_of, watched, worst_margins

import inradius
from inradius import Attack, CrossEntropy, Margin, SpecError, ThreatModel, UnsupportedError
from inradius.components.validators import radius
from inradius.testing import check_attack
from inradius.testing.strategies import inputs

ONE_STEP = ["r_fgsm()", "fgsm_rs()", "n_fgsm()"]
LOOPS = ["mim(steps=6)", "sparse_l1_descent(steps=6, quantile=0.5)", "pgd(direction='gradient', step=0.5, steps=6)"]
ATTACKS = [*ONE_STEP, *LOOPS]
UNIQUE = ["linf(eps=0.2)", "l2(eps=0.5)", "linf(eps=0.2, bounds=None)", "l2(eps=0.5, bounds=None)"]


def make(spec):
    return inradius.make(spec, Attack)


def gradient_at(model, x, y, delta, objective=None):
    point = (x + delta).detach().requires_grad_()
    return torch.autograd.grad((objective or CrossEntropy())(model(point), y).sum(), point)[0]


@attrs.frozen(kw_only=True)
class Slab(ThreatModel):
    """|δᵢ| ≤ eps / (1 + i): a set that brings what it must and nothing else."""

    eps: float = attrs.field(validator=radius)

    convex = tight = True

    def _reach(self, x):
        return self.eps / torch.arange(1, x[0].numel() + 1, dtype=x.dtype).view(x.shape[1:])

    def project(self, delta, x):
        return delta.clamp(-self._reach(x), self._reach(x))

    def linear_max(self, c, x):
        return c.sign() * self._reach(x)

    def gauge(self, delta, x):
        return (delta.abs() / self._reach(x)).flatten(1).amax(1)

    def scaled(self, factor: float) -> Self:
        return attrs.evolve(self, eps=self.eps * factor)


@pytest.mark.parametrize(
    "threat",
    [
        *("linf(eps=0.2)", "l2(eps=0.5, bounds=None)", "l1(eps=1.0)", "union(linf(eps=0.2), l1(eps=1.1))"),
        *("l0(k=2)", "box(lo=-0.1, hi=0.3)", "affine(basis='ramps', eps=0.3)", Slab(eps=0.4)),
    ],
    ids=str,
)
@pytest.mark.parametrize("attack", ATTACKS)
def test_the_laws_of_attacks_hold_on_every_set(attack, threat):
    if attack.startswith("sparse") and str(threat).startswith(("l0", "affine")):
        return
    check_attack(attack, threat, shape=(1, 2, 3), examples=1)


@pytest.mark.parametrize("attack", [*ONE_STEP, LOOPS[0], LOOPS[2]])
def test_the_laws_of_attacks_hold_where_mass_moves(attack):
    check_attack(attack, "wasserstein(eps=0.1)", shape=(1, 2, 2), inputs=inputs((1, 2, 2)), examples=1)


@pytest.mark.parametrize(
    "more", ["", ", restarts=3, random_start=True", ", keep_maximising=True", ", objective=margin()"]
)
@pytest.mark.parametrize("spec", SETS)
def test_mim_without_momentum_is_pgd(spec, more):
    threat, model = threat_of(spec), perceptron()
    x, y = labelled(model, 24)
    ours = make(f"mim(momentum=0, steps=6, step=0.3{more})")(model, x, y, threat)
    start = "" if "random_start" in more else ", random_start=False"
    pgd = make(f"pgd(steps=6, step=0.3{more}{start})")(model, x, y, threat)
    torch.testing.assert_close(ours.delta, pgd.delta, rtol=0, atol=1e-12)
    assert torch.equal(ours.queries, pgd.queries)
    assert 0 < ours.success.sum() < len(x)


@pytest.mark.parametrize("spec", SETS)
def test_mim_follows_the_gradients_it_remembers(spec):
    threat, model = threat_of(spec), perceptron()
    x, y = labelled(model)
    _, seen = watched(make("mim(steps=5, momentum=0.7, keep_maximising=True)"), model, x, y, threat)
    memory = torch.zeros_like(x)
    assert seen[0].eq(0).all()
    rng = inradius.ExampleRNG(0, torch.arange(len(x))).fork(0)
    for delta, following in pairwise(seen):
        gradient = gradient_at(model, x, y, delta)
        memory = 0.7 * memory + gradient / gradient.abs().sum(1, keepdim=True)
        expected = threat.project(delta + 0.2 * threat.steepest(memory, x, delta, rng=rng), x)
        torch.testing.assert_close(following, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("spec", [*SETS, "union(linf(eps=0.2), l2(eps=0.55))"])
def test_steps_along_the_sign_move_every_coordinate_alike(spec):
    threat, model = threat_of(spec), perceptron()
    x, y = labelled(model)
    _, seen = watched(make("pgd(direction='sign', step=0.07, steps=5, keep_maximising=True)"), model, x, y, threat)
    for delta, following in pairwise(seen):
        expected = threat.project(delta + 0.07 * gradient_at(model, x, y, delta).sign(), x)
        torch.testing.assert_close(following, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("projection", ["exact", "sinkhorn"])
@pytest.mark.parametrize("wrapped", ["{}", "grow(attack={}, start=0.3, factor=1.4, every=2, steps=6, limit=1.0)"])
def test_steps_along_the_sign_stay_in_a_wasserstein_ball(projection, wrapped):
    """The thesis's attack: its projection may leave the ball; here every iterate is a point of it."""
    threat = threat_of(f"wasserstein(eps=0.4, kernel=3, projection={projection!r})")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 24), torch.nn.ReLU(), torch.nn.Linear(24, 3))
    x = torch.rand(6, 1, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model = model.double()
    y = model(x).argmax(1)
    attack = make(wrapped.format("pgd(direction='sign', step=0.1, steps=4, random_start=False)"))
    seen = []
    found = attack(model, x, y, threat, observe=lambda step, delta: seen.append(delta))
    assert len(seen) > 2
    assert found.inside.all()
    for delta in seen:
        assert threat.contains(delta, x).all()
    broken = Margin()(model(x + found.delta), y) > Margin()(model(x), y)
    assert broken.any()


def test_every_run_of_mim_begins_without_momentum():
    threat, model = threat_of("linf(eps=0.2)"), perceptron()
    x, y = labelled(model)
    _, seen = watched(make("mim(steps=3, restarts=2, keep_maximising=True)"), model, x, y, threat)
    start, following = seen[4:6]
    expected = threat.project(start + threat.eps / 3 * gradient_at(model, x, y, start).sign(), x)
    torch.testing.assert_close(following, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("spec", [*SETS, "box(lo=-0.1, hi=0.3)", "union(linf(eps=0.2), l2(eps=0.55))", "l0(k=2)"])
@pytest.mark.parametrize(
    "attack",
    [
        "mim(steps=60, step=0.5, keep_maximising=True)",
        "pgd(direction='gradient', step=50.0, steps=60, objective=margin(), keep_maximising=True)",
    ],
)
def test_loops_drive_two_classes_to_the_worst_margin(attack, spec):
    threat, model = threat_of(spec), linear(2)
    x, y = labelled(model)
    worst = worst_margins(model, x, y, threat).amin(1)
    found = make(attack)(model, x, y, threat)
    assert found.inside.all()
    # coordinates of l1's steps are drawn at random
    atol = 2e-3 if spec.startswith("l1") and attack.startswith("mim") else 1e-9
    torch.testing.assert_close(found.margin, worst, rtol=0, atol=atol)


@pytest.mark.parametrize("spec", UNIQUE)
@pytest.mark.parametrize("attack", ["r_fgsm(noise=0)", "fgsm_rs(step=1e9)", "n_fgsm(step=1e9)", "n_fgsm(noise=0)"])
def test_a_full_step_from_noise_ends_in_the_worst_margin_of_a_linear_model(attack, spec):
    threat, model = threat_of(spec), linear(2)
    x, y = labelled(model)
    worst = worst_margins(model, x, y, threat).amin(1)
    torch.testing.assert_close(make(attack)(model, x, y, threat).margin, worst, rtol=0, atol=1e-7)


@pytest.mark.parametrize("spec", [*UNIQUE, "l1(eps=0.5, k1=1, k2=1, bounds=None)", "box(lo=-0.1, hi=0.3)"])
def test_fgsm_is_one_full_step_of_pgd(spec):
    threat, model = threat_of(spec), perceptron()
    x, y = labelled(model)
    _, seen = watched(make("pgd(steps=1, step=1.0, random_start=False, keep_maximising=True)"), model, x, y, threat)
    for attack in ("fgsm()", "r_fgsm(noise=0)", "n_fgsm(noise=0)"):
        torch.testing.assert_close(make(attack)(model, x, y, threat).delta, seen[1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("spec", SETS)
@pytest.mark.parametrize(("attack", "size"), [("r_fgsm()", 0.5), ("fgsm_rs()", 1.25), ("n_fgsm()", 1.0)])
def test_one_step_is_taken_from_the_noise_and_projected(attack, size, spec):
    threat, model = threat_of(spec), perceptron()
    x, y = labelled(model)
    found, (start, delta) = watched(make(attack), model, x, y, threat)
    assert torch.equal(found.delta, delta)
    assert found.queries.eq(2).all()
    rng = inradius.ExampleRNG(0, torch.arange(len(x)))
    # the noise of n_fgsm comes from the set at twice its radius
    assert threat.scaled(2 if attack == "n_fgsm()" else 1).contains(start, x).all()
    assert attack != "n_fgsm()" or not threat.contains(start, x).all()
    if not spec.startswith("l1"):
        step = threat.steepest(gradient_at(model, x, y, start), x, start, rng=rng)
        torch.testing.assert_close(delta, threat.project(start + size * step, x), rtol=0, atol=1e-9)
    given = images(seed=3) - 0.5
    _, (start, _) = watched(make(attack), model, x, y, threat, start=given)
    assert torch.equal(start, threat.project(given, x))
    _, (other, _) = watched(attrs.evolve(make(attack), seed=1), model, x, y, threat)
    _, (first, _) = watched(make(attack), model, x, y, threat)
    assert (other != first).any(1).all()


def test_the_noise_of_r_fgsm_is_half_the_radius_in_every_coordinate():
    model = perceptron()
    x, y = labelled(model)
    _, (start, delta) = watched(make("r_fgsm()"), model, x, y, threat_of("linf(eps=0.2, bounds=None)"))
    assert start.abs().eq(0.1).all()
    assert 0.3 < (start > 0).double().mean() < 0.7
    assert delta.abs().sub(0.1).abs().sub(0.1).abs().max() < 1e-12


@pytest.mark.parametrize("spec", ["l1(eps=1.0)", "l1(eps=1.0, bounds=None)", "linf(eps=0.2)", "box(lo=-0.1, hi=0.3)"])
def test_single_coordinates_in_turn_reach_the_worst_margin(spec):
    """With a quantile that leaves one coordinate, the largest one that still can move goes to its end, as in the knapsack."""
    threat, model = threat_of(spec), linear(2)
    x, y = labelled(model)
    worst = worst_margins(model, x, y, threat).amin(1)
    found = make("sparse_l1_descent(quantile=0.99, steps=200, step=0.05, keep_maximising=True)")(model, x, y, threat)
    # where ball and box meet, the projection takes from all what a step gives to one
    torch.testing.assert_close(found.margin, worst, rtol=0, atol=1e-2 if spec == "l1(eps=1.0)" else 1e-9)


def test_a_sparse_step_spreads_the_radius_over_the_largest_entries_that_can_move():
    threat, model = threat_of("l1(eps=1.0)"), perceptron()
    x, y = labelled(model)
    x[:, :4], x[:, 4:] = 0.0, 0.5
    gradient = gradient_at(model, x, y, torch.zeros_like(x))
    gradient[:, :4] = gradient[:, :4].clamp(min=0)
    _, seen = watched(
        make("sparse_l1_descent(steps=4, step=0.2, quantile=0.6, keep_maximising=True)"), model, x, y, threat
    )
    kept = gradient.abs() >= gradient.abs().topk(4, dim=1).values[:, -1:].clamp(min=1e-300)
    expected = 0.2 * gradient.sign() * kept / kept.sum(1, keepdim=True)
    torch.testing.assert_close(seen[1], expected, rtol=0, atol=1e-12)


def test_quantiles_choose_how_many_coordinates_move():
    threat, model = threat_of("l1(eps=1.0, bounds=None)"), perceptron()
    x, y = labelled(model)
    for quantile, count in ((0.0, 8), (0.5, 4), (0.74, 3), (0.75, 2), (0.99, 1), (1.0, 1)):
        attack = make(f"sparse_l1_descent(steps=1, quantile={quantile}, keep_maximising=True)")
        _, seen = watched(attack, model, x, y, threat)
        assert seen[1].ne(0).sum(1).eq(count).all()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("l0(k=2)", r"was given l0\(k=2.0\), which has a part that is not convex; allowed are convex sets"),
        ("union(linf(eps=0.1), patch(size=2))", "has a part that is not convex"),
        ("affine(basis='ramps', eps=0.3)", "where no coordinate moves alone; allowed are sets like linf, l2 and l1"),
        ("wasserstein(eps=0.1)", "where no coordinate moves alone"),
    ],
)
def test_sparse_steps_are_refused_where_they_make_no_sense(spec, message):
    x = torch.rand(2, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(UnsupportedError, match=message) as caught:
        make("sparse_l1_descent()")(lambda z: z.flatten(1), x, torch.tensor([0, 1]), threat_of(spec))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", SETS)
def test_the_raw_gradient_is_followed_as_it_is(spec):
    threat, model = threat_of(spec), perceptron()
    x, y = labelled(model)
    attack = make("pgd(direction='gradient', step=0.3, steps=4, random_start=False, keep_maximising=True)")
    _, seen = watched(attack, model, x, y, threat)
    for delta, following in pairwise(seen):
        expected = threat.project(delta + 0.3 * gradient_at(model, x, y, delta), x)
        torch.testing.assert_close(following, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("spec", [SETS[0], SETS[2]])
@pytest.mark.parametrize("attack", ATTACKS)
def test_batch_size_and_order_change_nothing(attack, spec):
    threat, model, attack = threat_of(spec), perceptron(), make(attack)
    x, y = labelled(model, 10)
    whole = attack(model, x, y, threat)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(2))
    for size in (1, 4):
        for rows in order.split(size):
            part = attack(model, x[rows], y[rows], threat, index=rows)
            assert torch.equal(part.queries, whole.queries[rows])
            torch.testing.assert_close(part.delta, whole.delta[rows], rtol=0, atol=1e-12)


@pytest.mark.parametrize("spec", SETS[:3])
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_answers_have_the_dtype_and_shape_of_the_inputs(dtype, attack, spec):
    model = perceptron().to(dtype)
    x = images(6).to(dtype)
    found = make(attack)(model, x, model(x).argmax(1), threat_of(spec))
    assert (found.delta.dtype, found.delta.shape) == (dtype, x.shape)
    assert found.delta.isfinite().all()
    assert found.inside.all()
    assert found.delta.ne(0).any()


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("shape", [(1, 2, 4), (4, 2), (8,)])
def test_images_sequences_and_flat_inputs_are_alike(attack, shape):
    model, threat = perceptron(), threat_of("linf(eps=0.2)")
    x, y = labelled(model)
    flat = make(attack)(model, x, y, threat)
    shaped = make(attack)(lambda z: model(z.flatten(1)), x.view(-1, *shape), y, threat)
    assert torch.equal(shaped.delta.flatten(1), flat.delta)


@pytest.mark.parametrize("spec", SETS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_zero_gradient_is_no_nan(attack, spec):
    def flat(x):
        return (0 * x)[:, :4] + torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=x.dtype)

    x = images()
    found = make(attack)(flat, x, torch.zeros(len(x), dtype=torch.int64), threat_of(spec))
    assert found.delta.isfinite().all()
    assert found.inside.all()
    assert not found.success.any()


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_model_without_gradient_is_one_clear_sentence(attack):
    x = images()
    with pytest.raises(UnsupportedError, match="the model's logits carry no gradient with respect to the images"):
        make(attack)(lambda z: z[:, :4].detach(), x, x[:, :4].argmax(1), threat_of(SETS[0]))


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_empty_batch_has_an_empty_answer(attack):
    model = perceptron()
    x, y = labelled(model)
    assert make(attack)(model, x[:0], y[:0], threat_of(SETS[0])).delta.shape == (0, SIZE)


@pytest.mark.parametrize("attack", ATTACKS)
def test_radii_of_their_own_agree_with_the_scaled_sets(attack):
    model, threat, attack = perceptron(), threat_of("l2(eps=0.3)"), make(attack)
    x, y = labelled(model, 8)
    factors = torch.tensor([0.5, 1.0, 2.0, 0.0] * 2)
    found = attack(model, x, y, threat.per_example(factors))
    assert found.inside.all()
    for row, factor in enumerate(factors.tolist()):
        rows = torch.tensor([row])
        alone = attack(model, x[rows], y[rows], threat.scaled(factor), index=rows)
        assert math.isclose(alone.margin.item(), found.margin[row].item(), abs_tol=1e-9)


@pytest.mark.parametrize("attack", ATTACKS)
def test_with_a_goal_success_is_a_prediction_of_the_goal(attack):
    threat, model, attack = threat_of("linf(eps=1.0, bounds=None)"), linear(3), make(attack)
    x, y = labelled(model, 64)
    goal = model(x).topk(2).indices[:, 1]
    found = attack(model, x, y, threat, goal=goal)
    assert torch.equal(found.success, model(x + found.delta).argmax(1) == goal)
    assert found.success.any()


@pytest.mark.parametrize("classes", [2, 3, 1000])
@pytest.mark.parametrize("attack", ATTACKS)
def test_any_number_of_classes_will_do(attack, classes):
    model = linear(classes)
    x, y = labelled(model)
    found = make(attack)(model, x, y, threat_of("linf(eps=2.0, bounds=None)"))
    assert found.success.any()
    assert Margin()(model(x + found.delta), y).sum() > Margin()(model(x), y).sum()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mim(momentum=-1)", "momentum=-1.0 is not allowed; allowed is a finite number ≥ 0"),
        ("mim(momentum='much')", "momentum='much' is not allowed"),
        ("mim(steps=0)", "steps=0 is not allowed"),
        ("r_fgsm(noise=2)", "noise=2 is not allowed; allowed is a number between 0 and 1"),
        ("fgsm_rs(step=0)", "step=0.0 is not allowed; allowed is a finite number > 0"),
        ("n_fgsm(noise=-1)", "noise=-1.0 is not a radius; allowed is a finite number ≥ 0"),
        ("sparse_l1_descent(quantile=99)", "quantile=99 is not allowed; allowed is a number between 0 and 1"),
        ("pgd(direction='up')", "direction='up' is not allowed; allowed are 'steepest', 'gradient' and 'sign'"),
        ("pgd(direction='gradient')", "direction='gradient' needs a step, since a gradient has any length"),
        ("pgd(direction='sign')", "direction='sign' needs a step, since its length is no share of a radius"),
        ("pgd(uniform=1)", "uniform=1 is not"),
        ("fgsm_rs(uniform='yes')", "uniform='yes' is not"),
    ],
)
def test_a_wrong_parameter_is_one_clear_sentence(spec, message):
    with pytest.raises(SpecError, match=message) as caught:
        make(spec)
    assert "\n" not in str(caught.value)
