"""Flags: each sign is seen where it is, and a sound model or a sound set of attacks shows none."""

import pytest
import torch
from torch import nn

import inradius
from inradius import BPDA, Attack, InputError, model_flags, result_flags


class Undifferentiable(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 4))


def images(count=8):
    x = torch.rand(count, 3, 4, generator=torch.Generator().manual_seed(1))
    return x, torch.arange(count) % 4


def attack_of(spec):
    return inradius.make(spec, Attack)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sound_model_has_no_flag_and_is_left_as_it_was(dtype):
    model = network().to(dtype).train()
    x, y = images()
    with torch.inference_mode():
        assert model_flags(model, x.to(dtype), y) == ()
    assert model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert model_flags(model, x[:1].to(dtype), y[:1]) == ()
    assert model_flags(model, x[:0].to(dtype), y[:0]) == ()


@pytest.mark.parametrize(
    ("change", "sign"),
    [
        (lambda logits: logits / 0, "NaN or infinite"),
        (lambda logits: logits.detach(), "no gradient"),
        (Undifferentiable.apply, "no gradient"),
        (lambda logits: logits.softmax(1), "probabilities"),
        (lambda logits: logits * 0, "same logits"),
        (lambda logits: (logits * 1e6).round() / 1e6, "is zero"),
        (lambda logits: logits + (logits * 0).abs().sqrt(), "gradient of 8 of 8 images is NaN"),
        (lambda logits: logits + torch.randn(4), "random"),
        (lambda logits: logits - logits.mean(0), "smaller batch"),
    ],
)
def test_each_sign_is_seen(change, sign):
    model, (x, y) = network(), images()
    torch.manual_seed(3)
    found = model_flags(lambda x: change(model(x)), x, y)
    assert len(found) == 1
    assert sign in found[0]
    assert "\n" not in found[0]


def test_several_signs_are_told_together():
    model, (x, y) = network(), images()
    torch.manual_seed(3)
    found = model_flags(lambda x: (model(x) + torch.randn(4)).softmax(1).detach(), x, y)
    assert [next(sign for sign in ("random", "probabilities", "no gradient") if sign in flag) for flag in found] == [
        "random",
        "probabilities",
        "no gradient",
    ]


def test_the_count_is_that_of_the_images_concerned():
    model, (x, y) = network(), images()
    x[:3] = 0

    def half(x):
        logits = model(x)
        return torch.where((x.flatten(1).sum(1) == 0)[:, None], logits.detach(), logits)

    (found,) = model_flags(half, x, y)
    assert "3 of 8" in found


def test_a_surrogate_takes_the_flag_away():
    quantised = lambda x: (x * 8).round() / 8  # noqa: E731  a layer of one line
    model, (x, y) = network(), images()
    assert "zero" in model_flags(nn.Sequential(Layer(quantised), model), x, y)[0]
    assert model_flags(nn.Sequential(BPDA(quantised), model), x, y) == ()


class Layer(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize("logits", [torch.zeros(8), torch.zeros(8, 1), torch.zeros(3, 4), "none"])
def test_what_are_no_logits_is_an_error(logits):
    x, y = images()
    with pytest.raises(InputError, match="the model returned"):
        model_flags(lambda x: logits, x, y)


def test_labels_beyond_the_classes_are_an_error():
    x, y = images()
    with pytest.raises(InputError, match="label 9"):
        model_flags(network(), x, y + 6)


def outcome(*broken, of=range(100)):
    return {row: row in broken for row in of}


def test_sound_outcomes_have_no_flag():
    pgd, more, square = map(attack_of, ("pgd()", "pgd(restarts=5)", "square()"))
    assert result_flags({}) == ()
    assert result_flags({pgd: outcome(1, 2), more: outcome(1, 2, 3), square: outcome(1, 2)}) == ()
    # no other attack was there to be beaten
    assert result_flags({square: outcome(1, 2, 3)}) == ()
    assert result_flags({pgd: {}, square: outcome(1, 2, 3)}) == ()


def test_a_black_box_attack_that_beats_the_gradient_is_told():
    attacks = {attack_of("pgd()"): outcome(1, 2), attack_of("fgsm()"): outcome(3)}
    (found,) = result_flags({**attacks, attack_of("square()"): outcome(5, 6, of=range(4, 100))})
    assert "square()" in found
    assert "2 of the 97" in found
    assert "pgd() and fgsm()" in found
    (found,) = result_flags({**attacks, attack_of("worst(square(), square(seed=1))"): outcome(5)})
    assert "broke 1 of" in found
    # one that holds a gradient attack is none
    assert result_flags({**attacks, attack_of("worst(square(), mim())"): outcome(5)}) == ()


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [
        ("pgd()", "pgd(restarts=5)"),
        ("pgd()", "pgd(seed=7)"),
        ("pgd(steps=7)", "restarts(pgd(steps=7), n=4)"),
        ("restarts(pgd(), n=2)", "restarts(pgd(), n=20)"),
        ("pgd()", "eot(pgd(), samples=5)"),
    ],
)
def test_success_that_grows_with_restarts_is_told(shorter, longer):
    before, after = attack_of(shorter), attack_of(longer)
    # the later one may have run on what was left alone
    (found,) = result_flags({before: outcome(1, 2), after: outcome(5, 6, of=range(3, 100))})
    assert f"{longer if 'restarts(' not in longer and 'eot' not in longer else after} broke 2 examples" in found
    assert result_flags({after: outcome(5), before: outcome()}) == ()


def test_other_attacks_are_not_compared():
    few, many = outcome(), outcome(*range(50))
    for pair in (("pgd()", "pgd(steps=7)"), ("pgd()", "restarts(fgsm())"), ("pgd()", "mim()")):
        assert result_flags(dict(zip(map(attack_of, pair), (few, many), strict=True))) == ()
