"""Gradient attacks on every kind of model and batch: nothing is left behind, and batch mates change nothing."""

import math

import pytest
import torch
from gradient_cases import SETS, SIZE, labelled, linear, perceptron, threat_of, worst_margins
from torch import nn

import inradius
from inradius import Attack, InputError, UnsupportedError

ATTACKS = [
    "fgsm()",
    "pgd(steps=6, restarts=2)",
    "pgd(steps=6, keep_maximising=True)",
    "frank_wolfe(steps=6, restarts=2)",
]


def normalized():
    """A network with BatchNorm whose running statistics are not those of a batch."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(4 * 36, 5)
    )


def pictures(count=12):
    return torch.rand(count, 1, 6, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("spec", SETS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_batch_size_order_and_batch_mates_change_nothing(attack, spec):
    threat, model, attack = threat_of(spec), perceptron(), inradius.make(attack, Attack)
    x, y = labelled(model, 21)
    whole = attack(model, x, y, threat)
    order = torch.randperm(21, generator=torch.Generator().manual_seed(2))
    for size in (1, 7, 21):
        for rows in order.split(size):
            part = attack(model, x[rows], y[rows], threat, index=rows)
            assert torch.equal(part.success, whole.success[rows])
            assert torch.equal(part.queries, whole.queries[rows])
            torch.testing.assert_close(part.delta, whole.delta[rows], rtol=0, atol=1e-12)


@pytest.mark.parametrize("attack", ATTACKS)
def test_equal_seeds_give_equal_answers_and_the_global_generator_is_not_touched(attack):
    threat, model, attack = threat_of("linf(eps=0.1)"), perceptron(), inradius.make(attack, Attack)
    x, y = labelled(model)
    state = torch.get_rng_state()
    first = attack(model, x, y, threat)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    assert torch.equal(attack(model, x, y, threat).delta, first.delta)


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_gradient_mode_or_statistic_is_left_behind(attack):
    model = normalized()
    model[0].weight.requires_grad_(False)
    x = pictures()
    y = model(x).argmax(1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    inradius.make(attack, Attack)(model, x, y, threat_of("linf(eps=0.1)"))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert [parameter.requires_grad for parameter in model.parameters()] == [False] + [True] * 5
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_model_may_be_any_function_and_parameters_of_its_own_get_no_gradient(attack):
    model = perceptron()
    x, y = labelled(model)
    threat = threat_of("linf(eps=0.1)")
    found = inradius.make(attack, Attack)(lambda images: model(images), x, y, threat)
    assert torch.equal(found.delta, inradius.make(attack, Attack)(model, x, y, threat).delta)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("spec", SETS)
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_answers_have_the_dtype_and_shape_of_the_inputs(dtype, attack, spec):
    model = normalized().to(dtype)
    x = pictures().to(dtype)
    y = model.eval()(x).argmax(1)
    found = inradius.make(attack, Attack)(model, x, y.to(torch.uint8), threat_of(spec).scaled(0.5))
    assert found.delta.dtype == dtype
    assert found.delta.shape == x.shape
    assert torch.isfinite(found.delta).all()


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_work_within_no_grad_and_inference_mode(attack, around):
    model, threat = perceptron(), threat_of("l2(eps=0.5)")
    expected = inradius.make(attack, Attack)(model, *labelled(model), threat)
    with around():
        found = inradius.make(attack, Attack)(model, *labelled(model), threat)
    assert torch.equal(found.delta, expected.delta)


@pytest.mark.parametrize("spec", SETS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_zero_gradient_is_no_nan(attack, spec):
    def flat(x):
        return (0 * x)[:, :4] + torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=x.dtype)

    x, _ = labelled(perceptron())
    found = inradius.make(attack, Attack)(flat, x, torch.zeros(len(x), dtype=torch.int64), threat_of(spec))
    assert torch.isfinite(found.delta).all()
    assert found.inside.all()
    assert not found.success.any()


@pytest.mark.parametrize("spec", SETS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_gradient_that_is_not_finite_is_no_nan(attack, spec):
    model = linear(4)

    def steep(x):
        # finite everywhere, with an infinite slope at the first coordinate and an undefined one at the second
        return model(x) + 0 * (x[:, :1] * 0).sqrt() + (x[:, 1:2] * 0).abs().sqrt() * (x[:, 1:2] * 0).abs().sqrt()

    x, y = labelled(model)
    found = inradius.make(attack, Attack)(steep, x, y, threat_of(spec))
    assert torch.isfinite(found.delta).all()
    assert found.inside.all()
    assert found.delta.ne(0).any()


@pytest.mark.parametrize("attack", ["fgsm()", "pgd(steps=10)", "frank_wolfe(steps=3)"])
def test_a_sure_model_is_still_attacked_in_float32(attack):
    """Where the softmax rounds to one, its gradient at the label is lost; the log-odds keep it."""
    model = linear(2).float()
    with torch.no_grad():
        model.weight *= 100
        model.bias.zero_()
    x, y = labelled(model.double())
    threat = threat_of("linf(eps=0.2)")
    worst = worst_margins(model, x, y, threat).amin(1)
    surest = (model(x)[:, 0] - model(x)[:, 1]).abs().max()
    assert surest > 20
    found = inradius.make(attack, Attack)(model.float(), x.float(), y, threat)
    assert torch.equal(found.success, worst <= 0)
    assert 0 < found.success.sum() < len(x)


def constant(x):
    return torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(len(x), 1)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("model", [lambda x: x[:, :4].detach(), constant, lambda x: constant(x).requires_grad_()])
def test_a_model_without_gradient_is_one_clear_sentence(model, attack):
    x, _ = labelled(perceptron())
    message = "the model's logits carry no gradient with respect to the images"
    with pytest.raises(UnsupportedError, match=message) as caught:
        inradius.make(attack, Attack)(model, x, model(x).argmax(1), threat_of(SETS[0]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("attack", ATTACKS)
def test_nan_logits_on_the_way_are_one_clear_sentence(attack):
    model = perceptron()
    x, y = labelled(model)
    with pytest.raises(InputError, match=r"the model's logits for image \d+ of the batch are NaN or infinite"):
        inradius.make(attack, Attack)(lambda z: model(z) / (z == x).all(1).double()[:, None], x, y, threat_of(SETS[0]))


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_empty_batch_has_an_empty_answer(attack):
    model = perceptron()
    x, y = labelled(model)
    found = inradius.make(attack, Attack)(model, x[:0], y[:0], threat_of("linf(eps=0.1)"))
    assert found.delta.shape == (0, SIZE)


@pytest.mark.parametrize("attack", ATTACKS)
def test_radii_of_their_own_agree_with_the_scaled_sets(attack):
    model, threat, attack = perceptron(), threat_of("l2(eps=0.3)"), inradius.make(attack, Attack)
    x, y = labelled(model, 8)
    factors = torch.tensor([0.5, 1.0, 2.0, 0.0] * 2)
    start = torch.zeros_like(x)
    found = attack(model, x, y, threat.per_example(factors), start=start)
    assert found.inside.all()
    for row, factor in enumerate(factors.tolist()):
        rows = torch.tensor([row])
        alone = attack(model, x[rows], y[rows], threat.scaled(factor), index=rows, start=start[rows])
        assert math.isclose(alone.margin.item(), found.margin[row].item(), abs_tol=1e-9)


@pytest.mark.parametrize("objective", ["dlr()", "margin()", "targeted(goal=2)", "targeted(dlr(), goal=0)"])
def test_every_objective_drives_the_loop(objective):
    model, threat = perceptron(), threat_of("linf(eps=0.3)")
    x, y = labelled(model, 32)
    found = inradius.make(f"pgd(objective={objective})", Attack)(model, x, y, threat)
    assert found.success.any()
