"""Sets, attacks and certifiers answer on another device what they answer on the CPU, bit for bit.

The device is pretended, so that what is shown is that nothing is left on the CPU or moved there in silence. What a real one
rounds otherwise is for ``test_gpu.py``.
"""

import importlib.util
from contextlib import nullcontext

import pytest
import torch
from device_cases import (
    ATTACKS,
    CERTIFIED_SETS,
    CERTIFIERS,
    CLASSES,
    LIBRARIES,
    NETWORKS,
    SETS,
    SHAPE,
    asked,
    certified,
    images,
    leaves,
    network,
    to,
)
from pretend_device import NAME, pretend_device
from torch import nn

import inradius
from inradius import Attack, Certifier, Outcome, ThreatModel
from inradius.components.registry import entries

# What is not the same algorithm on both devices, so that the bits differ, and by how much they may.
OTHERWISE = {
    # the exact projection factors a band with LAPACK on the CPU, and a dense matrix elsewhere; both stop within a gap of 1e-10
    ("wasserstein", "project"): 1e-5,
}


def check_same(found, expected, device, otherwise=lambda place: 0.0):
    """Both answers are equal, of tensors every bit, and the tensors of the first are on the device."""
    found, expected = leaves(found), leaves(expected)
    assert found.keys() == expected.keys()
    for place, value in expected.items():
        if not isinstance(value, torch.Tensor):
            assert found[place] == value, place
            continue
        mine = found[place]
        assert mine.device.type == device, f"{place} is on {mine.device}"
        assert (mine.dtype, mine.shape) == (value.dtype, value.shape), place
        limit = otherwise(place)
        torch.testing.assert_close(mine.detach().cpu(), value.detach(), rtol=0, atol=limit, equal_nan=True, msg=place)


def block(device):
    return pretend_device() if device == NAME else nullcontext()


def on_both(answer, *things):
    """The answers on the pretended device and on the CPU, of the same things."""
    expected = answer(*(to(thing, "cpu") for thing in things))
    with pretend_device():
        found = answer(*(to(thing, NAME) for thing in things))
    return found, expected


class Mixing(nn.Linear):
    """An affine map of the images as sets see it: a convolution's rows, spelled out."""

    exact_interval = False

    def __init__(self):
        torch.manual_seed(3)
        super().__init__(32, 6)

    @property
    def out_shape(self):
        return torch.Size([6])

    def forward(self, x):
        return super().forward(x.flatten(1))

    def adjoint(self, rows):
        return (rows @ self.weight).unflatten(-1, SHAPE)

    def interval(self, lower, upper):
        middle, half = (lower + upper) / 2, (upper - lower).flatten(1) / 2
        return self(middle) - half @ self.weight.abs().T, self(middle) + half @ self.weight.abs().T

    def unit_rows(self, index, dtype):
        return self.weight.to(dtype)[index].unflatten(-1, SHAPE)

    def local_rows(self):
        return None

    def filters(self, like):
        return None


class Sliding(Mixing):
    """A convolution as sets see it, with windows of few inputs."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, stride=2, padding=1)
        with torch.no_grad():
            unit = torch.eye(32).view(32, *SHAPE)
            self.weight = nn.Parameter((self.conv(unit) - self.conv(torch.zeros_like(unit))).flatten(1).T.contiguous())
            self.bias = nn.Parameter(self.conv(torch.zeros(1, *SHAPE)).flatten())

    @property
    def out_shape(self):
        return torch.Size([2, 2, 2])

    def forward(self, x):
        return self.conv(x)

    def local_rows(self):
        weights, index = self.weight.abs().topk(18, dim=1)
        return torch.where(weights > 0, index, -1), self.weight.gather(1, index)

    def filters(self, like):
        return self.conv.weight.to(like), (2, 2), (2, 2), (1, 1)


def oracles(threat, x, c, delta, factors):
    """Everything that a set answers, and what the same set with a radius for each example does, by the oracle's name."""
    answers = {}
    sets = {"": threat, " each": threat.per_example(factors)}
    for name, each in sets.items():
        streams = inradius.ExampleRNG(5, torch.arange(len(x), device=x.device))
        for oracle, question in {
            "project": lambda each=each: each.project(delta, x),
            "linear_max": lambda each=each: each.linear_max(c[:, 0], x),
            "support": lambda each=each: each.support(c, x),
            "support_bound": lambda each=each: each.support_bound(c, x),
            "span": lambda each=each: each.span(c, x),
            "gauge": lambda each=each: (each.gauge(delta, x), each.gauge(each.linear_max(c[:, 0], x), x)),
            "violation": lambda each=each: each.violation(delta, x),
            "contains": lambda each=each: each.contains(each.linear_max(c[:, 0], x), x),
            "steepest": lambda each=each, rng=streams: each.steepest(c[:, 0], x, delta, rng=rng),
            "sample": lambda each=each, rng=streams: (each.sample(x), each.sample(x, rng=rng)),
            "hull": lambda each=each: each.hull(x),
            "select": lambda each=each: each.select(factors > 0.8).gauge(delta[factors > 0.8], x[factors > 0.8]),
            "sketch": lambda each=each: each.sketch(x),
            "members": lambda each=each: [part.gauge(delta, x) for part in each.members()],
        }.items():
            answers[oracle + name] = asked(question)
    for op in (Mixing(), Sliding()):
        op = op.to(x)
        for name, each in sets.items():
            answers[f"bound_affine {type(op).__name__}{name}"] = asked(
                lambda each=each, op=op: each.bound_affine(op, x)
            )
    return answers


def gradient_of_support(threat, x, c):
    c = c.clone().requires_grad_()
    return torch.autograd.grad(threat.support(c, x).sum(), c)[0]


def directions(count, dtype):
    generator = torch.Generator().manual_seed(6)
    return torch.randn(count, 3, *SHAPE, generator=generator, dtype=torch.float64).to(dtype)


def set_cases(dtype):
    x, c = images(dtype=dtype), directions(4, dtype)
    return x, c, 0.3 * c[:, 1], torch.tensor([1.0, 0.5, 1.0, 0.5])


# an answer of these takes thousands of small steps, each of which takes the pretended device its time
SLOW = {
    "intersection(linf(eps=0.1), affine('ramps', eps=0.2))",
    "wasserstein(eps=0.2, kernel=3, bounds=(0, 1))",
    "wasserstein(eps=0.2, kernel=None)",
}
SPECS = [
    pytest.param(name, spec, marks=pytest.mark.slow if spec in SLOW else ())
    for name, specs in SETS.items()
    for spec in specs
]


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "spec"), SPECS)
def test_sets(name, spec, dtype):
    threat = inradius.make(spec, ThreatModel)
    found, expected = on_both(lambda *case: oracles(threat, *case), *set_cases(dtype))
    assert sum(not isinstance(answer, str) for answer in expected.values()) > len(expected) / 2, expected
    check_same(found, expected, NAME, lambda place: OTHERWISE.get((name, place[1:].split(" ")[0].split(".")[0]), 0.0))


@pytest.mark.parametrize(("name", "spec"), SPECS)
def test_gradients_of_support(name, spec):
    threat = inradius.make(spec, ThreatModel)
    x, c, *_ = set_cases(torch.float64)
    found, expected = on_both(lambda x, c: asked(lambda: gradient_of_support(threat, x, c)), x, c)
    check_same(found, expected, NAME)


def attacked(spec, threat, model, x, dtype=torch.float32):
    """What the attack finds on the examples with their own labels, and on one aimed at."""
    y = model(x).argmax(1)
    attack, threat = inradius.make(spec, Attack), inradius.make(threat, ThreatModel)
    trace = []
    answer = attack(model, x, y, threat, observe=lambda step, delta: trace.append(delta.clone()))
    goal = asked(lambda: attack(model, x, y, threat, goal=(y + 1) % CLASSES))
    return {"answer": answer, "goal": goal, "trace": trace}


def attack_cases():
    """The cases of every attack, of which the first is in the default run."""
    return [
        pytest.param(name, *case, marks=pytest.mark.slow if place else ())
        for name, cases in ATTACKS.items()
        for place, case in enumerate(cases)
    ]


@pytest.mark.parametrize("model", ["convolutional", pytest.param("attention", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "spec", "threat"), attack_cases())
def test_attacks(name, spec, threat, model, surrogate):
    if name in LIBRARIES and importlib.util.find_spec(LIBRARIES[name]) is None:
        pytest.skip(f"{LIBRARIES[name]} is not installed")
    if name == "foolbox":
        pytest.skip("eagerpy, on which foolbox rests, takes no subclass of torch.Tensor, and the second device is one")
    # levels of 8 bits, which one attack asks for
    x = (images(3) * 255).round() / 255 if name == "on_grid" else images(3)
    found, expected = on_both(lambda *case: attacked(spec, threat, *case), network(model), x)
    check_same(found, expected, NAME)


def certifier_cases():
    """Each certifier with each network and set, of which most are for ``-m slow``."""
    cases = []
    for spec in (spec for specs in CERTIFIERS.values() for spec in specs):
        for model in NETWORKS:
            for threat in CERTIFIED_SETS:
                first = (model == "convolutional") + (threat == CERTIFIED_SETS[0])
                quick = first == 2 or (first == 1 and spec == "crown" and "wasserstein" not in threat)
                cases.append(pytest.param(spec, model, threat, marks=() if quick else pytest.mark.slow))
    return cases


@pytest.mark.parametrize(("spec", "model", "threat"), certifier_cases())
def test_certifiers(spec, model, threat):
    found, expected = on_both(lambda *case: certified(spec, threat, *case), network(model), images(2))
    check_same(found, expected, NAME)


# the labels for which outputs are right
OUTCOMES = {
    "top_k(2)": lambda z: z.argmax(1),
    "confidence(0.4)": lambda z: z.argmax(1),
    "never(1)": lambda z: z.argmax(1),
    "multi_label(0.1)": lambda z: z > 0.1,
    "regression(0.1)": lambda z: z,
}


@pytest.mark.parametrize("spec", OUTCOMES)
def test_outcomes(spec):
    outcome, threat = inradius.make(spec, Outcome), inradius.make("linf(eps=0.02)", ThreatModel)
    attack, certifier = inradius.make("pgd(steps=3)", Attack), inradius.make("crown", Certifier)

    def judged(model, x):
        y = OUTCOMES[spec](model(x).detach())
        found = attack(model, x, y, threat, outcome=outcome)
        # labels in the memory of the CPU will do
        proof = certifier(model, x, y.cpu(), threat, outcome=outcome)
        return {"attack": found, "proof": proof, "property": outcome.as_property(y, model(x).detach()).weights}

    found, expected = on_both(judged, network("convolutional"), images(2))
    check_same(found, expected, NAME)


def test_pixels_on_another_device():
    outcome, z = inradius.make("segmentation(0.7, ignore=0)", Outcome), images(4).flatten(1)[:, :24].view(4, 3, 2, 4)

    def judged(z):
        y = outcome.check_labels(z, z[:, 1:].argmax(1) + 1)
        outcome.check_outputs(z, y)
        whole = inradius.make("segmentation(1)", Outcome).as_property(y, z)
        return {"margin": outcome.margin(z, y), "logits": outcome.logits(z, y), "rows": whole.weights}

    found, expected = on_both(judged, z)
    check_same(found, expected, NAME)


@pytest.mark.parametrize("spec", ["dual", "crown", "alpha(steps=2)"])
def test_bounds_to_train_on(spec):
    certifier, threat = inradius.make(spec, Certifier), inradius.make("linf(eps=0.02)", ThreatModel)

    def gradients(model, x):
        y = model(x).argmax(1)
        bound = certifier.bound(model, x, y, threat)
        return [bound, *torch.autograd.grad(bound.sum(), list(model.parameters()), allow_unused=True)]

    found, expected = on_both(gradients, network("convolutional"), images(2))
    check_same(found, expected, NAME)


@pytest.mark.parametrize("name", CERTIFIERS)
def test_every_certifier_certifies_one_of_the_networks(name):
    for spec in CERTIFIERS[name]:
        found = certified(spec, CERTIFIED_SETS[0], network("convolutional"), images(2))
        assert not isinstance(found, str), found
        assert bool(found.certified.any()), (spec, found)


@pytest.mark.parametrize(("kind", "cases"), [(ThreatModel, SETS), (Attack, ATTACKS), (Certifier, CERTIFIERS)])
def test_every_component_has_a_case(kind, cases):
    known = {name for name, entry in entries().items() if entry.kind is kind and "inradius" in entry.origin}
    assert known <= set(cases), (
        f"give the new component a case in tests/shared/device_cases.py: {sorted(known - set(cases))}"
    )
    assert set(cases) <= known, f"no such component any more: {sorted(set(cases) - known)}"
