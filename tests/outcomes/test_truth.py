"""A success is a success again, and no certificate of an outcome is contradicted by an attack on the same outcome."""

import pytest
import torch
from torch import nn

import inradius
from inradius import Attack, Certifier, Outcome, ThreatModel, UnsupportedError, make
from inradius.outcomes.outcome import flat

ATTACKS = [
    "pgd(steps=10)",
    "apgd(steps=10)",
    "fgsm",
    "square(queries=60)",
    "mim(steps=5)",
    "fab_t(steps=10)",
    "ddn(steps=15)",
]
CERTIFIERS = ["interval", "crown", "dual", "branch_and_bound(seconds=1)"]
SETS = ["linf(eps={})", "l2(eps={})", "l1(eps={})"]


def classes(outputs):
    return outputs.argmax(1)


def itself(outputs):
    return outputs


def odd(outputs, y):
    """A margin in units of its own, whose rounding is not that of the outputs."""
    return 1000 * (outputs.gather(1, y[:, None]).squeeze(1) - outputs.mean(1)) ** 3


def lead(outputs, y):
    """The label's logit minus the mean."""
    return outputs.gather(1, y[:, None]).squeeze(1) - outputs.mean(1)


def mean_rows(y, outputs):
    """The label's logit is above the mean."""
    weights = nn.functional.one_hot(y, outputs.shape[1]).to(outputs) - 1 / outputs.shape[1]
    return inradius.Property(weights[:, None], outputs.new_zeros(len(y), 1))


# the outcome, the shape of an example's outputs, and the labels for which outputs are right
QUESTIONS = [
    ("top1", (4,), classes),
    ("top_k(2)", (5,), classes),
    ("top_k(3)", (5,), classes),
    ("confidence(0.3)", (3,), classes),
    ("confidence(0.6)", (2,), classes),
    ("never(1)", (3,), classes),
    ("binary", (1,), lambda z: (z > 0).long().flatten()),
    ("binary", (), lambda z: (z > 0).long()),
    ("multi_label", (3,), lambda z: (z > 0).long()),
    ("segmentation(0.7)", (2, 2, 2), classes),
    ("segmentation(1)", (2, 3), classes),
    ("regression(0.2)", (2,), itself),
    ("regression(0.1)", (), itself),
    (inradius.outcome(odd), (4,), classes),
    (inradius.outcome(lead, prop=mean_rows), (4,), classes),
]


class Network(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, torch.Size(outputs).numel()))

    def forward(self, x):
        return self.layers(x).reshape(-1, *self.outputs)


@torch.no_grad()
def denied(outcome, model, x, y):
    """True where the outcome, evaluated again, finds an example right: by itself, and in float64, (B,)."""
    alone = torch.stack([outcome.margin(model(x[row : row + 1]), y[row : row + 1])[0] for row in range(len(x))])
    exact = model.double()
    double = outcome.margin(exact(x.double()), y)
    model.float()
    return (alone >= 0) | (double >= 0)


def one_case(seed):
    """The counts of successes and of certified examples of a random case, after the laws were checked on it."""
    torch.manual_seed(seed)
    spec, outputs, label = QUESTIONS[seed % len(QUESTIONS)]
    outcome, model, x = make(spec, Outcome), Network(outputs).eval(), torch.rand(6, 4)
    y = label(model(x).detach())
    if seed % 3 == 0 and not y.is_floating_point():
        # some labels are wrong as they are
        y = torch.where(torch.rand(y.shape) < 0.2, torch.zeros_like(y), y)
    size = (0.02, 0.1, 0.4)[int(torch.randint(3, ()))]
    threat = make(SETS[int(torch.randint(3, ()))].format(size), ThreatModel)
    attack = make(ATTACKS[int(torch.randint(len(ATTACKS), ()))], Attack)
    found = attack(model, x, y, threat, outcome=outcome)
    assert not (found.success & denied(outcome, model, x + found.delta, y)).any(), (seed, attack, outcome)
    assert bool(threat.contains(found.delta, x)[found.success].all())
    return int(found.success.sum()), certified(seed, outcome, model, x, y, threat, found)


def certified(seed, outcome, model, x, y, threat, found):
    certifier = make(CERTIFIERS[seed % len(CERTIFIERS)], Certifier)
    try:
        proof = certifier(model, x, y, threat, outcome=outcome)
    except UnsupportedError:
        return 0
    assert not (proof.certified & found.success).any(), (seed, certifier, outcome)
    with torch.no_grad():
        outputs = model.double()((x + found.delta).double())
    margin, prop = outcome.margin(outputs, y), outcome.as_property(y, outputs)
    values = prop.weakest(prop.values(flat(outputs)))
    model.float()
    inside = threat.contains(found.delta, x, tol=0.0)
    # the rounding of float64
    below = inside & (values < proof.guaranteed - 1e-9)
    assert not below.any(), (seed, certifier, outcome, values, proof.guaranteed)
    assert not (margin < values - 1e-9).any(), (seed, outcome)
    return int(proof.certified.sum())


def many(seeds):
    counts = torch.tensor([one_case(seed) for seed in seeds])
    # cases in which nothing can go wrong would show nothing
    successes, certificates = counts.sum(0).tolist()
    assert successes >= len(counts) / 2
    assert certificates >= len(counts) / 2


def test_attacks_and_certificates_of_an_outcome_agree():
    many(range(56))


@pytest.mark.slow
def test_attacks_and_certificates_of_an_outcome_agree_in_1000_cases():
    many(range(1000, 2000))
