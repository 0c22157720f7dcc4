"""What Attack.__call__ promises: checked inputs and answers, a model put back as it was, counted queries."""

import attrs
import pytest
import torch
from torch import nn

import inradius
from inradius import Attack, CountedModel, InputError, PluginError, PluginWarning, ThreatModel, UnsupportedError
from inradius.attacks.composite import WrappingAttack
from inradius.models.single_channel_conv import cheap_gradients


@attrs.frozen(kw_only=True)
class Cube(ThreatModel):
    eps: float = 0.25
    convex = True

    def project(self, delta, x):
        return delta.clamp(-self.eps, self.eps)

    def linear_max(self, c, x):
        return self.eps * c.sign()

    def gauge(self, delta, x):
        return delta.abs().flatten(1).amax(1) / self.eps

    def scaled(self, factor):
        return attrs.evolve(self, eps=factor * self.eps)


@attrs.frozen(kw_only=True)
class Add(Attack):
    """Adds a constant, whatever the set; looks at the model ``looks`` times."""

    amount: float = 0.25
    looks: int = 0

    def perturb(self, batch, *, observe=None):
        for _ in range(self.looks):
            batch.model(batch.x)
        return torch.full_like(batch.x, self.amount)


@attrs.frozen(kw_only=True)
class Aim(Add):
    aims = True

    def perturb(self, batch, *, observe=None):
        return (
            torch.full_like(batch.x, self.amount)
            if batch.goal is None
            else torch.full_like(batch.x, self.amount) * (1 - 2 * batch.goal)[:, None]
        )


@attrs.frozen(kw_only=True)
class Does(Attack):
    """Does what the test says."""

    what: object = None

    def perturb(self, batch, *, observe=None):
        return self.what(batch.model, batch.x, batch.y, batch.threat, batch.rng, batch.start, observe)


def threshold(x):
    """Class 1 where the first coordinate is above one half."""
    return torch.stack([0.5 - x[:, 0], x[:, 0] - 0.5], 1)


def points(*first):
    return torch.tensor([[value, 0.0] for value in first], dtype=torch.float64)


def network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)).double()
    model[0].weight.requires_grad_(False)
    model[3].eval()
    return model


X = points(0.1, 0.3, 0.6)
Y = torch.tensor([0, 0, 1])


def test_success_is_a_wrong_prediction_inside_the_set():
    found = Add()(threshold, X, Y, Cube())
    assert found.success.tolist() == [False, True, False]
    torch.testing.assert_close(found.margin, torch.tensor([0.3, -0.1, 0.7], dtype=torch.float64))
    assert found.gauge.tolist() == [1, 1, 1]
    assert found.inside.all()


def test_a_tie_is_neither_a_success_nor_a_right_prediction():
    found = Add(amount=0.0)(threshold, points(0.5), torch.tensor([0]), Cube())
    assert (found.success.tolist(), found.within_rounding.tolist()) == ([False], [True])


def test_success_with_a_goal_is_a_prediction_of_the_goal():
    goal = torch.tensor([1, 1, 0])
    found = Aim(amount=-0.25)(threshold, X, Y, Cube(), goal=goal)
    assert found.delta[:, 0].tolist() == [0.25, 0.25, -0.25]
    torch.testing.assert_close(found.margin, torch.tensor([0.3, -0.1, -0.3], dtype=torch.float64))
    assert found.success.tolist() == [False, True, True]


def test_an_answer_outside_of_the_set_is_rejected_with_a_warning():
    with pytest.warns(
        PluginWarning, match=r"add\(amount=0.5\) left the set cube\(\) on 3 of 3 examples; those answers are rejected"
    ):
        found = Add(amount=0.5)(threshold, X, Y, Cube())
    assert not found.success.any()
    assert not found.inside.any()


def test_a_nan_answer_is_rejected_and_replaced():
    with pytest.warns(PluginWarning, match="left the set"):
        found = Add(amount=float("nan"))(threshold, X, Y, Cube())
    assert not found.success.any()
    assert found.delta.eq(0).all()


def test_a_minimal_attack_may_leave_the_set_without_success():
    class Minimal(Add):
        minimal = True

    found = Minimal(amount=0.5)(threshold, X, Y, Cube())
    assert not found.success.any()
    assert found.gauge.tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"y": torch.tensor([0, 0])},
            r"the labels have shape \(2,\) and type torch.int64; allowed is one integer per input",
        ),
        (
            {"y": torch.tensor([0.0, 0.0, 1.0])},
            r"the labels have shape \(3,\) and type torch.float32; allowed is one integer",
        ),
        ({"y": torch.tensor([True, False, True])}, r"type torch.bool; allowed is one integer per input"),
        ({"y": torch.tensor([0, -1, 1])}, "label -1 is out of range; classes count from 0"),
        ({"y": torch.tensor([0, 2, 1])}, "label 2 is out of range; the model has the classes 0 to 1"),
        ({"x": X.long()}, "the inputs are torch.int64; allowed are floating-point images"),
        ({"x": X[:, 0]}, r"the inputs have shape \(3,\); allowed is a batch"),
        ({"x": points(0.1, float("nan"), 0.6)}, "input 1 has NaN or infinite values"),
        (
            {"index": torch.tensor([0, 1])},
            r"index has shape \(2,\) and type torch.int64; allowed is one integer per example",
        ),
        ({"index": torch.tensor([0.0, 1.0, 2.0])}, "type torch.float32; allowed is one integer per example"),
        ({"start": X[:2]}, r"start has shape \(2, 2\); allowed is that of the inputs, \(3, 2\)"),
        ({"start": X / 0}, "start has NaN or infinite values"),
        ({"goal": torch.tensor([1, 1, 2])}, "goal 2 is out of range; the model has the classes 0 to 1"),
        ({"goal": torch.tensor([1, 1, -2])}, "goal -2 is out of range; classes count from 0"),
        ({"goal": torch.tensor([1])}, r"the goals have shape \(1,\)"),
        (
            {"model": lambda x: x.log()},
            "the model's logits for image 0 of the batch are NaN or infinite; they must be finite",
        ),
        (
            {"model": lambda x: x[0]},
            r"the model returned \(2,\) for 3 images; allowed are logits of shape \(3, classes ≥ 2\)",
        ),
        ({"model": lambda x: x[:, :1]}, r"the model returned \(3, 1\) for 3 images"),
        ({"model": lambda x: x.numpy()}, "the model returned ndarray for 3 images"),
        ({"targets": torch.ones(3)}, r"targets have shape \(3,\) and type torch.float32; allowed is a distribution"),
        ({"targets": torch.ones(3, 4)}, "targets are distributions over 4 classes; the model has 2"),
        ({"bn_mode": "off"}, "bn_mode='off' is not a mode; allowed are eval, train, train_notrack"),
    ],
)
def test_a_wrong_argument_is_one_clear_sentence(change, message):
    arguments = {"model": threshold, "x": X, "y": Y, "threat": Cube()} | change
    with pytest.raises(InputError, match=message) as caught:
        Aim(amount=0.0)(**arguments)
    assert "\n" not in str(caught.value)


def test_a_goal_needs_an_attack_that_can_aim():
    with pytest.raises(
        UnsupportedError,
        match=r"add\(\) cannot aim at a class, as its class does not say aims = True; allowed is no goal",
    ):
        Add()(threshold, X, Y, Cube(), goal=Y)


def test_a_goal_reaches_every_attack_that_is_held_or_none():
    """Law: the goal is refused where any attack within cannot aim."""

    @attrs.frozen(kw_only=True)
    class Holds(WrappingAttack):
        def perturb(self, batch, *, observe=None):
            return self.attack.answer(batch)[0]

    Holds(attack=Holds(attack=Aim()))(threshold, X, Y, Cube(), goal=Y)
    with pytest.raises(UnsupportedError, match=r"add\(\) cannot aim at a class"):
        Holds(attack=Holds(attack=Add()))(threshold, X, Y, Cube(), goal=Y)


def test_a_perturb_with_other_parameters_is_one_sentence_that_shows_the_right_ones():
    class Old(Add):
        def perturb(self, model, x, y, threat, rng, *, start=None, observe=None):
            return torch.zeros_like(x)

    @attrs.frozen(kw_only=True)
    class Holds(WrappingAttack):
        def perturb(self, batch, *, observe=None):
            return self.attack.answer(batch)[0]

    for attack in (Old(), Holds(attack=Old())):
        with pytest.raises(
            PluginError,
            match=r"old\(\) has perturb\(self, model, x, y, threat, rng, \*, start=None, observe=None\); "
            r"allowed is perturb\(self, batch, \*, observe=None\), where batch has model, x, y, goal, threat, rng, start "
            "and rows",
        ) as caught:
            attack(threshold, X, Y, Cube())
        assert "\n" not in str(caught.value)


def test_an_answer_of_another_shape_is_an_error():
    with pytest.raises(InputError, match=r"returned a perturbation of shape \(2,\); it must be \(3, 2\)"):
        Does(what=lambda model, x, *_: x[0])(threshold, X, Y, Cube())


def test_a_seed_is_an_integer_from_zero():
    for seed in (-1, 0.5, "a"):
        with pytest.raises(ValueError, match="allowed is an integer ≥ 0"):
            Add(seed=seed)


@pytest.mark.parametrize("looks", [0, 1, 5])
def test_queries_count_forward_passes_with_the_last_check(looks):
    assert Add(looks=looks)(threshold, X, Y, Cube()).queries.tolist() == [looks + 1] * 3


def test_queries_of_a_part_count_for_its_examples():
    def look(model, x, y, threat, rng, start, observe):
        part = model.take(torch.tensor([True, False, True]))
        part(x[[0, 2]].repeat(2, 1))
        part.take(torch.tensor([1]))(x[2:])
        return torch.zeros_like(x)

    assert Does(what=look)(threshold, X, Y, Cube()).queries.tolist() == [3, 1, 4]


def test_a_part_that_was_not_taken_is_an_error():
    with pytest.raises(InputError, match=r"called on 2 images for 3 examples; .* take that part of the model"):
        Does(what=lambda model, x, *_: model(x[:2]))(threshold, X, Y, Cube())


@pytest.mark.parametrize("bn_mode", ["eval", "train", "train_notrack"])
def test_the_model_is_put_back_as_it_was(bn_mode):
    model = network()
    modes = [module.training for module in model.modules()]
    flags = [parameter.requires_grad for parameter in model.parameters()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    seen = []

    def look(subject, x, *_):
        seen.append((model.training, model[1].training, [p.requires_grad for p in model.parameters()]))
        subject(x)
        return torch.zeros_like(x)

    Does(what=look)(model, X, Y, Cube(), bn_mode=bn_mode)
    assert seen == [(False, bn_mode != "eval", [False] * 6)]
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    after = model.state_dict()
    assert before.keys() == after.keys()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert bool(changed) == (bn_mode == "train")
    assert model[1].momentum == 0.1


def test_the_model_is_put_back_after_an_error():
    model = network()

    def fail(*_):
        raise RuntimeError("the attack fails")

    with pytest.raises(RuntimeError, match="the attack fails"):
        Does(what=fail)(model, X, Y, Cube())
    assert model.training
    assert not model[0].weight.requires_grad
    assert model[3].weight.requires_grad


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_gradients_are_on_within_no_grad_and_inference_mode(around):
    def ascend(model, x, y, *_):
        x = x.clone().requires_grad_()
        value = model(x).gather(1, y[:, None]).sum()
        return -0.25 * torch.autograd.grad(value, x)[0].sign()

    model = nn.Linear(2, 2).double()
    with around():
        x, y = points(0.1, 0.3, 0.6), torch.tensor([0, 0, 1])
        found = Does(what=ascend)(model, x, y, Cube())
    assert found.delta.abs().eq(0.25).all()
    assert model.weight.grad is None
    assert not found.delta.requires_grad


def test_the_answer_carries_no_gradient_and_the_inputs_get_none():
    x = X.clone().requires_grad_()
    found = Does(what=lambda model, x, *_: (0.1 * x).requires_grad_())(network(), x, Y, Cube())
    assert not any(getattr(found, name).requires_grad for name in ("delta", "margin", "gauge"))
    assert x.grad is None


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_labels_index_and_goals_may_be_any_integers(dtype):
    found = Aim()(threshold, X, Y.to(dtype), Cube(), index=Y.to(dtype), goal=1 - Y.to(dtype))
    assert found.success.tolist() == [False, False, False]


def test_the_attack_sees_start_observe_and_random_numbers_of_the_index():
    seen = []

    def look(model, x, y, threat, rng, start, observe):
        observe(0, start)
        return (rng.uniform((2,)) - 0.5) / 2

    def call(rows):
        observe = lambda step, delta: seen.append((step, delta.clone()))  # noqa: E731
        rows = torch.tensor(rows)
        return Does(seed=3, what=look)(
            threshold, X[rows], Y[rows], Cube(), index=rows, start=X[rows].float(), observe=observe
        )

    whole = call([0, 1, 2]).delta
    assert torch.equal(call([2, 0]).delta, whole[[2, 0]])
    assert [step for step, _ in seen] == [0, 0]
    assert seen[0][1].dtype == X.dtype
    torch.testing.assert_close(seen[0][1], X, rtol=1e-6, atol=1e-6)


def test_a_relative_objective_is_given_the_clean_predictions():
    """An objective that compares predictions sees those of the clean inputs, also in an attack that holds another."""

    @attrs.frozen(kw_only=True)
    class Away(inradius.Objective):
        relative = True

        def __call__(self, logits, y, goal=None):
            raise AssertionError("it has no score by labels")

        def expected(self, logits, targets):
            seen.append(targets)
            return (logits.softmax(1) - targets).square().sum(1)

    seen = []
    pgd = inradius.make("pgd(steps=2, keep_maximising=True)")
    for attack in (attrs.evolve(pgd, objective=Away()), inradius.make("restarts(pgd, n=2)")):
        if attack.spec_name() == "restarts":
            attack = attrs.evolve(attack, attack=attrs.evolve(pgd, objective=Away()))
        model = torch.nn.Linear(2, 2)
        seen.clear()
        attack(model, X.float(), Y, inradius.make("linf(eps=0.1)"))
        assert seen
        clean = model(X.float()).softmax(1).detach()
        assert all(torch.equal(targets, clean) for targets in seen)
    given = torch.tensor([[0.5, 0.5]] * 3)
    seen.clear()
    less = attack(model, X.float(), Y, inradius.make("linf(eps=0.1)"), targets=given)
    assert all(torch.equal(targets, given) for targets in seen)
    # the pass that finds the clean predictions counts
    asked = attack(model, X.float(), Y, inradius.make("linf(eps=0.1)"))
    assert torch.equal(asked.queries, less.queries + 1)


def test_an_empty_batch_has_an_empty_answer():
    found = Add()(threshold, X[:0], Y[:0], Cube())
    assert found.delta.shape == (0, 2)
    assert found.queries.shape == (0,)


def test_radii_of_their_own_are_used_example_by_example():
    with pytest.warns(PluginWarning, match="with a radius per example on 1 of 3"):
        found = Add()(threshold, X, Y, Cube().per_example(torch.tensor([1.0, 2.0, 0.5])))
    assert found.gauge.tolist() == [1, 0.5, 2]
    assert found.success.tolist() == [False, True, False]


def test_a_subject_is_a_model_with_checked_logits():
    assert torch.equal(CountedModel(threshold, Y)(X), threshold(X))


def test_find_gives_the_perturbations_of_a_call_and_nothing_outside_of_the_set():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3)).double()
    x, y = torch.rand(5, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1])
    attack = inradius.make("pgd(steps=3, direction='gradient', step=0.1, keep_maximising=True)", Attack)
    threat = inradius.make("linf(eps=0.1)", ThreatModel)
    torch.testing.assert_close(attack.find(model, x, y, threat), attack(model, x, y, threat).delta)
    assert "forward" not in vars(model[0])
    assert all(parameter.requires_grad for parameter in model.parameters())

    @attrs.frozen(kw_only=True)
    class Far(Attack):
        def perturb(self, batch, *, observe=None):
            return 2.0 * torch.arange(len(batch.x), dtype=batch.x.dtype)[:, None, None, None].expand_as(batch.x)

    with pytest.warns(PluginWarning, match="left the set"):
        assert not Far().find(model, x, y, Cube()).any()


def test_grey_images_have_the_same_gradients_where_they_are_cheap():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3, stride=2, padding=1, dilation=2), nn.Tanh()).double()
    x = torch.rand(2, 1, 9, 9, dtype=torch.float64, requires_grad=True)

    def second():
        (first,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        return first, *torch.autograd.grad(first.square().sum(), x)

    plain = second()
    with cheap_gradients(model):
        for cheap, exact in zip(second(), plain, strict=True):
            torch.testing.assert_close(cheap, exact)
    assert "forward" not in vars(model[0])
