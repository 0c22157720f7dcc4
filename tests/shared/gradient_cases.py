"""Models, sets and closed forms for the tests of gradient attacks."""

import attrs
import torch
from torch import nn

import inradius
from inradius import Objective, ThreatModel

SETS = [
    "linf(eps=0.2)",
    "l2(eps=0.5)",
    "l1(eps=1.0, k1=1, k2=3)",
    "linf(eps=0.2, bounds=None)",
    "l2(eps=0.5, bounds=None)",
]
SIZE = 8


@attrs.frozen(kw_only=True)
class Toward(Objective):
    """The logit of one class minus the label's: linear in the input of a linear model."""

    to: int

    def __call__(self, logits, y, goal=None):
        return logits[:, self.to] - logits.gather(1, y[:, None]).squeeze(1)


def threat_of(spec):
    return inradius.make(spec, ThreatModel)


def linear(classes, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(SIZE, classes).double()


def perceptron(classes=4, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(SIZE, 32), nn.Tanh(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, classes)).double()


def images(count=16, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(count, SIZE, generator=rng, dtype=torch.float64)


def labelled(model, count=16, seed=0):
    """Images with the labels that the model gives them."""
    x = images(count, seed)
    with torch.no_grad():
        return x, model(x).argmax(1)


def worst_margins(model, x, y, threat):
    """min over Δ(x) of logit[y] − logit[j] for every class j of a linear model, (B, C); inf at the label."""
    rows = model.weight[None] - model.weight[y][:, None]
    logits = model(x)
    margins = logits.gather(1, y[:, None]) - logits - threat.support(rows, x)
    return margins.scatter(1, y[:, None], torch.inf).detach()


def score(objective, model, x, y, delta, goal=None):
    with torch.no_grad():
        return objective(model(x + delta), y, goal)


def watched(attack, *args, **kwargs):
    """The attack's answer, and the perturbation of every step, a list of (B, *S)."""
    seen = []
    found = attack(*args, observe=lambda step, delta: seen.append((step, delta.clone())), **kwargs)
    assert [step for step, _ in seen] == list(range(len(seen)))
    return found, [delta for _, delta in seen]
