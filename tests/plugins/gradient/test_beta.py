"""BETA: an ascent of every wrong class's margin, all together."""

import math

import attrs
import pytest
import torch
from gradient_cases import SETS, SIZE, images, labelled, linear, perceptron, score, threat_of, watched, worst_margins
from in_turn import in_turn

import inradius
from inradius import Attack, CrossEntropy, Margin, SpecError, UnsupportedError
from inradius.testing import check_attack
from inradius.testing.strategies import inputs
from inradius_gradient.torch_steps import OPTIMIZERS, TorchSteps

ATTACKS = [
    "beta(steps=4)",
    "beta(steps=4, optimizer='adam', classes=2, restarts=2)",
    "beta(steps=4, together=1, keep_maximising=True)",
]


def make(spec):
    return inradius.make(spec, Attack)


def counter_example(count=16):
    """Robey et al. 2023, appendix D: logits (−b, −a, a) of a point (a, b) = (0, −1) of class 0, in ℓ2 with ε = 0.8."""
    weight = torch.tensor([[0.0, -1.0], [-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    x = torch.tensor([[0.0, -1.0]], dtype=torch.float64).repeat(count, 1)
    return lambda z: z @ weight.mT, x, torch.zeros(count, dtype=torch.int64), threat_of("l2(eps=0.8, bounds=None)")


def test_the_cross_entropy_at_its_largest_is_no_adversarial_example():
    model, x, y, threat = counter_example()
    found, seen = watched(make("pgd(steps=200, step=0.1, keep_maximising=True)"), model, x, y, threat)
    torch.testing.assert_close(seen[-1], torch.tensor([0.0, 0.8]).double().expand_as(x), rtol=0, atol=0.05)
    assert (score(Margin(), model, x, y, seen[-1]) < 0).all()
    assert not found.success.any()
    # log(1 + 2 exp(−0.2)), at the point (0, 0.8)
    expected = torch.full_like(found.margin, math.log(1 + 2 * math.exp(-0.2)))
    torch.testing.assert_close(score(CrossEntropy(), model, x, y, found.delta), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam", "sgd"])
def test_the_margin_at_its_largest_is_an_adversarial_example(optimizer):
    model, x, y, threat = counter_example()
    found = make(f"beta(optimizer='{optimizer}', steps=60, keep_maximising=True)")(model, x, y, threat)
    assert found.success.all()
    torch.testing.assert_close(found.margin, torch.full_like(found.margin, 1 - 2 * 0.8 / 2**0.5), rtol=0, atol=1e-6)
    assert make(f"beta(optimizer='{optimizer}')")(model, x, y, threat).success.all()


def test_of_two_ends_the_cross_entropy_takes_the_harmless_one():
    """Robey et al. 2023, example 1: probabilities (1/K + ε, 1/K − ε, 1/K, ...) lose more than (1/2 − ε, 1/2 + ε, 0, ...)."""
    classes, eps = 10, 0.01
    clean = torch.full((classes,), 0.1 / (classes - 1)).double()
    harmless = torch.full((classes,), 1 / classes).double()
    fooled = torch.full((classes,), 1e-9).double()
    clean[0] = 0.9
    harmless[:2] += torch.tensor([eps, -eps])
    fooled[:2] = torch.tensor([0.5 - eps, 0.5 + eps])

    def model(x):
        left, right = (-x).clamp(min=0), x.clamp(min=0)
        return clean.log() + left * (harmless / clean).log() + right * (fooled / clean).log()

    x, y = torch.zeros(8, 1, dtype=torch.float64), torch.zeros(8, dtype=torch.int64)
    threat = threat_of("linf(eps=1.0, bounds=None)")
    deceived = make("pgd(restarts=4, keep_maximising=True)")(model, x, y, threat)
    torch.testing.assert_close(deceived.delta, -torch.ones_like(x))
    assert not deceived.success.any()
    assert make("beta(restarts=8)")(model, x, y, threat).success.all()
    assert make("beta(classes=1, restarts=8, keep_maximising=True)")(model, x, y, threat).success.all()


@pytest.mark.parametrize(
    ("classes", "spec"),
    in_turn([2, 5], [*SETS, "box(lo=-0.1, hi=0.3)", "union(linf(eps=0.2), l2(eps=0.55))", "l0(k=2)"]),
)
def test_the_worst_margin_over_all_classes_is_reached(classes, spec):
    threat, model = threat_of(spec), linear(classes)
    x, y = labelled(model)
    worst = worst_margins(model, x, y, threat).amin(1)
    # a set that is not convex has ends that are the best ones around alone
    restarts = 1 if threat.convex else 3
    for more in ("", ", together=2", ", classes=1")[: 1 if classes == 2 else 3]:
        attack = f"beta(steps=30, rate=0.5, restarts={restarts}, keep_maximising=True{more})"
        found = make(attack)(model, x, y, threat)
        assert found.inside.all()
        # coordinates of l1's steps are drawn at random
        torch.testing.assert_close(found.margin, worst, rtol=0, atol=1e-2 if spec.startswith("l1") else 1e-9)
    clear = worst.abs() > 1e-2
    found = make(f"beta(steps=30, rate=0.5, restarts={restarts})")(model, x, y, threat)
    assert torch.equal(found.success[clear], worst[clear] <= 0)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_ends_in_the_corner_of_a_box(optimizer):
    threat, model = threat_of("linf(eps=0.2)"), linear(3)
    x, y = labelled(model)
    worst = worst_margins(model, x, y, threat).amin(1)
    # adadelta's first steps are a thousandth of the others'
    rate = 100.0 if optimizer == "adadelta" else 1.0
    found = make(f"beta(optimizer='{optimizer}', steps=30, rate={rate}, keep_maximising=True)")(model, x, y, threat)
    torch.testing.assert_close(found.margin, worst, rtol=0, atol=1e-9)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_rows_that_go_on_have_the_past_of_their_own(optimizer):
    like = torch.zeros(3, 2, 4, dtype=torch.float64)
    rng = torch.Generator().manual_seed(0)
    gradients = [torch.randn(6, 2, 4, generator=rng, dtype=torch.float64) for _ in range(6)]
    kept = torch.tensor([4, 1])
    some, all_, alone = (TorchSteps(optimizer, 0.1, count, like) for count in (6, 6, 1))
    for place, gradient in enumerate(gradients):
        if place == 3:
            some.take(kept)
        part = some.step(gradient if place < 3 else gradient[kept])
        whole = all_.step(gradient)
        assert torch.equal(part, whole if place < 3 else whole[kept])
        assert torch.equal(alone.step(gradient[4:5]), whole[4:5])
        assert (whole * gradient).sum() > 0 or place > 0


@pytest.mark.parametrize("name", ["rmsprop", "adam"])
def test_the_rate_is_a_share_of_the_radius_whatever_the_scale_of_model_and_set(name):
    model = perceptron()
    x, y = labelled(model)
    attack = make(f"beta(optimizer='{name}', steps=5, rate=0.1, random_start=False, keep_maximising=True)")
    threat = threat_of("linf(eps=0.2, bounds=None)")
    found, seen = watched(attack, model, x, y, threat)
    steps = (seen[1] - seen[0]).abs()
    # torch's rmsprop begins with 1 / sqrt(1 − 0.99) of its learning rate, and the projection cuts that
    torch.testing.assert_close(steps, torch.full_like(steps, 0.2 if name == "rmsprop" else 0.02), rtol=1e-3, atol=0)
    scaled = attack(lambda z: 1e6 * model(z / 3), 3 * x, y, threat_of("linf(eps=0.6, bounds=None)"))
    torch.testing.assert_close(scaled.delta, 3 * found.delta, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("spec", SETS)
def test_plain_steps_are_those_of_pgd_towards_each_class(spec):
    threat, model = threat_of(spec), perceptron(2)
    x, y = labelled(model)
    beta = make("beta(optimizer='sgd', rate=0.2, steps=6, random_start=False, keep_maximising=True)")
    pgd = make("pgd(objective=margin(), step=0.2, steps=6, random_start=False, keep_maximising=True)")
    ours, theirs = beta(model, x, y, threat), pgd(model, x, y, threat)
    # l1 draws coordinates from streams of its own
    if not spec.startswith("l1"):
        torch.testing.assert_close(ours.delta, theirs.delta, rtol=0, atol=1e-9)


@pytest.mark.parametrize("threat", ["linf(eps=0.2)", "l2(eps=0.5)", "l1(eps=1.0)", "union(linf(eps=0.2), l1(eps=1.1))"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_the_laws_of_attacks_hold(attack, threat):
    check_attack(attack, threat, shape=(1, 2, 3), examples=1)


@pytest.mark.parametrize("threat", ["l0(k=2)", "patch(size=2, eps=0.4)", "affine(basis='ramps', eps=0.3)"])
@pytest.mark.parametrize("attack", ATTACKS[:2])
def test_the_laws_of_attacks_hold_on_other_sets(attack, threat):
    check_attack(attack, threat, shape=(1, 2, 3), examples=1)


@pytest.mark.parametrize("attack", ATTACKS[:2])
def test_the_laws_of_attacks_hold_where_mass_moves(attack):
    check_attack(attack, "wasserstein(eps=0.1)", shape=(1, 2, 2), inputs=inputs((1, 2, 2)), examples=1)


@pytest.mark.parametrize(
    ("attack", "spec"), in_turn([*ATTACKS, "beta(steps=4, classes=2, together=1, optimizer='rmsprop')"], SETS[:3])
)
def test_batch_size_and_order_change_nothing(attack, spec):
    threat, model, attack = threat_of(spec), perceptron(), make(attack)
    x, y = labelled(model, 10)
    whole = attack(model, x, y, threat)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(2))
    for size in (1, 4):
        for rows in order.split(size):
            part = attack(model, x[rows], y[rows], threat, index=rows)
            assert torch.equal(part.success, whole.success[rows])
            assert torch.equal(part.queries, whole.queries[rows])
            torch.testing.assert_close(part.delta, whole.delta[rows], rtol=0, atol=1e-10)


def test_passes_through_the_model_may_be_small(monkeypatch):
    threat, model = threat_of("linf(eps=0.2)"), perceptron(6)
    x, y = labelled(model, 12)
    whole = make("beta(steps=6)")(model, x, y, threat)
    monkeypatch.setattr("inradius_gradient.targeted_ascent._PASS", 2 * x.numel())
    sizes = []
    slabs = make("beta(steps=6)")(lambda z: (sizes.append(len(z)), model(z))[1], x, y, threat)
    assert max(sizes) == 24
    assert torch.equal(slabs.success, whole.success)
    assert torch.equal(slabs.queries, whole.queries)
    torch.testing.assert_close(slabs.delta, whole.delta, rtol=0, atol=1e-10)


def test_a_step_costs_a_query_for_every_class_until_the_example_is_fooled():
    threat, model, steps = threat_of("linf(eps=0.2)"), perceptron(5), 6
    x, y = labelled(model, 32)
    y[0] = (y[0] + 1) % 5
    found, seen = watched(make(f"beta(steps={steps})"), model, x, y, threat)
    assert len(seen) == steps + 1
    fooled = torch.stack([score(Margin(), model, x, y, delta) >= 0 for delta in seen])
    assert torch.equal(fooled.any(0), found.success)
    rounds = torch.where(found.success, fooled.int().argmax(0) + 1, steps + 1)
    rounds[0] = 0
    assert torch.equal(found.queries, 1 + 4 * rounds + 1)
    assert found.delta[0].eq(0).all()
    for row in found.success.nonzero().squeeze(1).tolist()[1:]:
        assert torch.equal(seen[rounds[row] - 1][row], found.delta[row])


def test_keep_maximising_finds_at_least_as_much():
    threat, model = threat_of("linf(eps=0.2)"), perceptron()
    x, y = labelled(model, 32)
    kept, dropped = (make(f"beta(steps=8{more})")(model, x, y, threat) for more in (", keep_maximising=True", ""))
    assert (kept.margin <= dropped.margin + 1e-12).all()
    assert torch.equal(kept.success, dropped.success)
    assert 0 < kept.success.sum() < len(x)
    once = make("beta(steps=2, rate=0.05)")(model, x, y, threat)
    more = make("beta(steps=2, rate=0.05, restarts=6)")(model, x, y, threat)
    assert (more.success | ~once.success).all()
    assert torch.equal(more.delta[once.success], once.delta[once.success])


def test_a_thousand_classes_are_tried_a_few_at_a_time():
    threat, model = threat_of("linf(eps=0.1)"), linear(1000)
    x, y = labelled(model, 4)
    few = make("beta(steps=3, classes=5, keep_maximising=True)")(model, x, y, threat)
    # clean images, the classes that look best, five ascents, the judge
    assert few.queries.eq(1 + 1 + 5 * 4 + 1).all()
    every = make("beta(steps=3, together=300, rate=1.0, keep_maximising=True)")(model, x, y, threat)
    assert every.queries.eq(1 + 999 * 4 + 1).all()
    worst = worst_margins(model, x, y, threat).amin(1)
    torch.testing.assert_close(every.margin, worst, rtol=0, atol=1e-9)
    one = make("beta(steps=9, classes=1, rate=1.0, keep_maximising=True)")(model, x, y, threat)
    # only the ten largest logits are candidates for the one class
    assert (one.margin >= worst - 1e-9).all()


@pytest.mark.parametrize("attack", ATTACKS)
def test_with_a_goal_that_class_alone_is_tried(attack):
    threat, model, attack = threat_of("linf(eps=1.0, bounds=None)"), linear(4), make(attack)
    x, y = labelled(model, 64)
    goal = model(x).topk(2).indices[:, 1]
    goal[0] = y[0]
    found = attack(model, x, y, threat, goal=goal)
    assert torch.equal(found.success, model(x + found.delta).argmax(1) == goal)
    assert found.success[0]
    assert found.success.sum() > 32
    assert found.queries.max() <= 1 + attack.restarts * (attack.steps + 1) + 1


@pytest.mark.parametrize("spec", SETS[:3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_answers_have_the_dtype_and_shape_of_the_inputs(dtype, spec):
    model = perceptron().to(dtype)
    x = images(6).to(dtype)
    for attack in ATTACKS:
        found = make(attack)(model, x, model(x).argmax(1), threat_of(spec))
        assert (found.delta.dtype, found.delta.shape) == (dtype, x.shape)
        assert found.delta.isfinite().all()
        assert found.inside.all()
        assert found.delta.ne(0).any()


def test_images_sequences_and_flat_inputs_are_alike():
    model, threat = perceptron(), threat_of("linf(eps=0.2)")
    x, y = labelled(model)
    flat = make("beta(steps=4)")(model, x, y, threat)
    for shape in ((1, 2, 4), (4, 2)):
        shaped = make("beta(steps=4)")(lambda z: model(z.flatten(1)), x.view(-1, *shape), y, threat)
        assert torch.equal(shaped.delta.flatten(1), flat.delta)


@pytest.mark.parametrize("spec", SETS)
def test_a_gradient_that_is_zero_at_first_is_no_nan_and_no_end(spec):
    linear_part = linear(4)

    def late(x):
        # flat for the first two calls that ask for a gradient
        calls.append(x.requires_grad)
        return (0 if sum(calls) <= 2 else 1) * linear_part(x) + torch.tensor([1e-3, 0, 0, 0], dtype=x.dtype)

    for optimizer in ("rmsprop", "adam", "sgd"):
        calls, x = [], images(4)
        attack = make(f"beta(optimizer='{optimizer}', steps=6, keep_maximising=True)")
        found = attack(late, x, torch.zeros(4, dtype=torch.int64), threat_of(spec))
        assert found.delta.isfinite().all()
        assert found.inside.all()
        assert found.delta.ne(0).any()


def test_models_that_give_no_gradient_or_nan_are_one_clear_sentence():
    x = images()
    y = x[:, :4].argmax(1)
    with pytest.raises(UnsupportedError, match="carry no gradient with respect to the images"):
        make("beta()")(lambda z: z[:, :4].detach(), x, y, threat_of(SETS[0]))
    with pytest.raises(inradius.InputError, match=r"logits for image \d+ of the batch are NaN or infinite"):
        make("beta()")(lambda z: z[:, :4] / (z == x[0]).all(1).double()[:, None], x, y, threat_of(SETS[0]))


def test_an_empty_batch_has_an_empty_answer():
    model = perceptron()
    x, y = labelled(model)
    for attack in ATTACKS:
        assert make(attack)(model, x[:0], y[:0], threat_of(SETS[0])).delta.shape == (0, SIZE)


@pytest.mark.parametrize("spec", ["linf(eps=0.3)", "l2(eps=0.3)", "box(lo=-0.1, hi=0.3)"])
def test_radii_of_their_own_agree_with_the_scaled_sets(spec):
    model, threat, attack = perceptron(), threat_of(spec), make("beta(steps=5, random_start=False)")
    x, y = labelled(model, 8)
    factors = torch.tensor([0.5, 1.0, 2.0, 0.0] * 2)
    found = attack(model, x, y, threat.per_example(factors))
    assert found.inside.all()
    for row, factor in enumerate(factors.tolist()):
        rows = torch.tensor([row])
        alone = attack(model, x[rows], y[rows], threat.scaled(factor), index=rows)
        assert math.isclose(alone.margin.item(), found.margin[row].item(), abs_tol=1e-9)


def test_runs_begin_where_they_should():
    threat, model = threat_of("l2(eps=0.3)"), perceptron()
    x, y = labelled(model)
    start = images(seed=5) - 0.5
    _, seen = watched(make("beta(steps=2)"), model, x, y, threat, start=start)
    torch.testing.assert_close(seen[0], threat.project(start, x), rtol=0, atol=1e-12)
    _, seen = watched(make("beta(steps=2, random_start=False)"), model, x, y, threat)
    assert seen[0].eq(0).all()
    _, (first, *_) = watched(make("beta(steps=2)"), model, x, y, threat)
    _, (other, *_) = watched(attrs.evolve(make("beta(steps=2)"), seed=1), model, x, y, threat)
    assert (first != other).any(1).all()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "beta(optimizer='lbfgs')",
            "optimizer='lbfgs' is not allowed; allowed are adadelta, .*, sgd, which treat every",
        ),
        ("beta(optimizer=3)", "optimizer=3 is not allowed"),
        ("beta(rate=0)", "rate=0.0 is not allowed; allowed is a finite number > 0"),
        ("beta(classes=0)", "classes=0 is not allowed; allowed is an integer ≥ 1"),
        ("beta(together=0)", "together=0 is not allowed; allowed is an integer ≥ 1"),
        ("beta(steps=1.5)", "steps=1.5 is not allowed"),
    ],
)
def test_a_wrong_parameter_is_one_clear_sentence(spec, message):
    with pytest.raises(SpecError, match=message) as caught:
        make(spec)
    assert "\n" not in str(caught.value)
