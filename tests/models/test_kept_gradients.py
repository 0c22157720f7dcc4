"""Attacks on networks that autocast runs in float16 follow the gradient of float32, however small it is."""

import attrs
import pytest
import torch
from torch import nn

import inradius
from inradius import Attack, CrossEntropy
from inradius.attacks.ascent import gradient_of
from inradius.attacks.counted_model import CountedModel
from inradius.models.kept_gradients import KeptGradients


def network(scale=1.0, *, norm=False, dtype=torch.float32):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Flatten(), nn.Linear(16, 24), *([nn.BatchNorm1d(24)] if norm else []), nn.Tanh(), nn.Linear(24, 4)]
        model = nn.Sequential(*layers).to(dtype)
    with torch.no_grad():
        model[-1].weight.mul_(scale)
        model[-1].bias.mul_(scale)
    return model.requires_grad_(False)


def examples(model, count=12):
    x = torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    return x, model(x).argmax(1).detach()


def half():
    return torch.autocast("cpu", torch.float16)


def slope(model, x, y, factor=1.0):
    """The gradient in x of the attacks' cross-entropy, times a factor."""
    point = x.clone().requires_grad_()
    return gradient_of(factor * CrossEntropy()(CountedModel(model, y)(point), y), point)


def angle(a, b):
    """The cosine between the rows, (B,)."""
    a, b = a.double().flatten(1), b.double().flatten(1)
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))


@pytest.mark.parametrize("scale", [1.0, 30.0, 120.0])
@pytest.mark.parametrize("factor", [1.0, 1e-12, 1e-25])
def test_the_gradient_is_that_of_float32_at_every_size(scale, factor):
    model = network(scale)
    x, y = examples(model)
    whole = slope(model, x, y, factor)
    with half():
        found = slope(model, x, y, factor)
    assert found.dtype == torch.float32
    assert (angle(found, whole) > 0.999).all()
    lengths = [each.double().flatten(1).norm(dim=1) for each in (found, whole)]
    # the logits of float16 themselves differ, and sure predictions multiply the difference
    torch.testing.assert_close(*lengths, rtol=0.01 + 0.004 * scale, atol=0)


def test_without_the_scale_the_gradient_of_a_sure_prediction_is_zero():
    model = network(120.0)
    x, y = examples(model)
    point = x.clone().requires_grad_()
    with half():
        value = CrossEntropy()(model(point).float(), y)
    assert (gradient_of(value, point).flatten(1).norm(dim=1) == 0).any()
    with half():
        assert (slope(model, x, y).flatten(1).norm(dim=1) > 0).all()


def test_batch_mates_that_batch_norm_mixes_share_a_scale():
    model = network(20.0, norm=True)
    x, y = examples(model)
    model.train()
    whole = slope(model, x, y)
    with half():
        found = slope(model, x, y)
    large = whole.flatten(1).norm(dim=1) > whole.flatten(1).norm(dim=1).amax() / 100
    assert large.sum() > 2
    assert (angle(found, whole)[large] > 0.99).all()


def test_scales_are_there_for_gradients_in_float16_alone():
    x = torch.rand(2, 16)
    wanted = x.clone().requires_grad_()
    assert KeptGradients.where_needed(network(), wanted) is None
    with torch.autocast("cpu", torch.bfloat16):
        assert KeptGradients.where_needed(network(), wanted) is None
    with half():
        assert KeptGradients.where_needed(network(), x) is None
        with torch.no_grad():
            assert KeptGradients.where_needed(network(), wanted) is None
        assert KeptGradients.where_needed(network(), wanted) is not None


@pytest.mark.parametrize(
    "spec", ["pgd(steps=10, random_start=False)", "fgsm()", "apgd(steps=10)", "beta(steps=5)", "mim(steps=10)"]
)
def test_attacks_find_in_float16_what_they_find_in_float32(spec):
    model = network(60.0)
    x, y = examples(model, 40)
    attack, threat = inradius.make(spec, Attack), inradius.make("linf(eps=0.15)")
    whole = attack(model, x, y, threat).success
    with half():
        found = attack(model, x, y, threat)
    assert found.inside.all()
    assert (found.success != whole).sum() <= 2
    assert whole.sum() > 5


def test_training_in_float16_attacks_in_float16(tmp_path):
    seen = set()

    @attrs.frozen(kw_only=True)
    class Spy(type(inradius.make("pgd()", Attack))):
        name = "spy"

        def perturb(self, batch, *, observe=None):
            seen.add(batch.model.plain(batch.x).dtype)
            return super().perturb(batch, observe=observe)

    defense = inradius.make("adversarial()", inradius.Defense)
    data = inradius.make("digits(split='train')", inradius.Dataset).take(300)
    options = {"epochs": 6, "batch_size": 20, "lr": 0.01, "validation": 0.0, "device": "cpu"}
    defense = attrs.evolve(defense, attack=Spy(steps=2, step=0.8, keep_maximising=True))
    judge, threat = inradius.make("pgd(steps=10)", Attack), inradius.make("linf(eps=0.05)")
    robust = []
    for precision in ("float32", "float16"):
        seen.clear()
        folder = tmp_path / precision
        model = inradius.train(defense, "mlp(64, 32, 10)", data, threat, precision=precision, folder=folder, **options)
        assert seen == {getattr(torch, precision)}
        robust.append(float((~judge(model, data.inputs, data.labels, threat).success).float().mean()))
    assert robust[0] > 0.5
    assert robust[1] == pytest.approx(robust[0], abs=0.05)
