"""The tensor that is meant among a model's outputs is found or asked for, and attacks and certifiers see that one."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

import inradius
from inradius import Attack, Certifier, InputError, Selected, ThreatModel

LINF = inradius.make("linf(eps=0.1)", ThreatModel)


class Named:
    def __init__(self, logits, hidden):
        self.logits, self.hidden = logits, hidden


class Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


FORMS = {
    "object": lambda a, b: Named(a, b),
    "dict": lambda a, b: {"hidden": b, "logits": a},
    "sole in a tuple": lambda a, b: (a, None),
    "sole in a dict": lambda a, b: {"scores": a, "name": "b"},
}
SEVERAL = {"tuple": (lambda a, b: (b, a), 1), "dict": (lambda a, b: {"u": b, "v": a}, "v"), "named": (Pair, "first")}


class Several(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.form, self.body, self.head = form, nn.Sequential(nn.Linear(4, 6), nn.ReLU()), nn.Linear(6, 3)

    def forward(self, x):
        hidden = self.body(x)
        return self.form(self.head(hidden), hidden)


def network(form):
    torch.manual_seed(0)
    return Several(form).eval()


def question():
    x = torch.rand(5, 4, generator=torch.Generator().manual_seed(1))
    return x, network(lambda a, _: a)(x).argmax(1)


def answers(model):
    """What an attack, several certifiers and the bracket say of a model."""
    x, y = question()
    attacked = inradius.make("pgd(steps=3)", Attack)(model, x, y, LINF)
    lowers = [
        inradius.make(spec, Certifier)(model, x, y, LINF).lower
        for spec in ("interval", "crown", "dual", "branch_and_bound")
    ]
    found = inradius.attack(model, x, y, LINF, "bab_attack")
    return [attacked.delta, found.success, *lowers]


def same(one, other):
    for left, right in zip(one, other, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_logits_or_the_only_tensor_are_meant(form):
    same(answers(network(FORMS[form])), answers(network(lambda a, _: a)))


@pytest.mark.parametrize("form", SEVERAL)
def test_another_output_is_named(form):
    build, name = SEVERAL[form]
    same(answers(Selected(network(build), name)), answers(network(lambda a, _: a)))


def test_a_bracket_of_a_model_with_named_outputs(tmp_path):
    x, y = question()
    report = inradius.bracket(
        network(FORMS["object"]), inradius.Dataset.of(x, y), LINF, attacks="fgsm", certifiers="crown", folder=tmp_path
    )
    assert report.clean == 1


@pytest.mark.parametrize("form", SEVERAL)
def test_several_tensors_are_asked_for(form):
    x, y = question()
    for ask in (inradius.make("fgsm", Attack), inradius.make("interval", Certifier)):
        with pytest.raises(
            InputError, match=r"of the tensors .*allowed is one of them, as in inradius.Selected\(model, "
        ):
            ask(network(SEVERAL[form][0]), x, y, LINF)


def test_what_cannot_be_selected():
    x, _ = question()
    with pytest.raises(InputError, match=r"no tensor 'w' but a dict; allowed here are 'u' \(5, 6\), 'v' \(5, 3\)"):
        Selected(network(SEVERAL["dict"][0]), "w")(x)
    with pytest.raises(InputError, match="output=True is not allowed"):
        Selected(nn.Identity(), True)
    with pytest.raises(InputError, match="the model is a str"):
        Selected("mlp", "u")


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_single_logits_name_the_outcome(shape):
    x, y = question()
    with pytest.raises(InputError, match=r"outcome='binary' \(--outcome binary\)"):
        inradius.attack(lambda x: x.sum(1).view(shape), x, y, LINF, "fgsm")
