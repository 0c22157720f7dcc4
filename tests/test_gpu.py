"""What is computed on a CUDA device against the CPU: `pytest -m gpu`, with TF32 and autocast switched on for everything.

A certificate of the device must hold against attacks in float64 on the CPU, and be that of the CPU up to the errors that
both state; an attack's success must be one on the CPU in float64. The checks are functions of a device's name: the tests of
the default run ask them of the CPU and of the pretended device, a few cases each, and show that they find what is wrong.
"""

import copy
import warnings
from contextlib import ExitStack, contextmanager

import attrs
import pytest
import soundness_drill
import torch
from device_cases import (
    ATTACK_CASES,
    CERTIFIED_SETS,
    CERTIFIERS,
    LIBRARIES,
    NETWORKS,
    asked,
    certified,
    images,
    network,
    to,
)
from drill_cases import case
from pretend_device import NAME, pretend_device

import inradius
from inradius import Attack, Certifier, ThreatModel, UnsupportedError

GPU = pytest.param("cuda", marks=pytest.mark.gpu)
TRIPLES, PART = 500, 25
DRILLED = ["interval", "dual", "crown", "alpha(steps=3)", "certifier_cascade(steps=2)"]
# what searches for its bounds ends elsewhere where a rounding error turned it, by this share of the bound
SEARCHED = ("alpha", "certifier_cascade", "milp", "lp")
ELSEWHERE = 0.02
CERTIFIER_SPECS = [spec for specs in CERTIFIERS.values() for spec in specs]


@contextmanager
def shortcuts(device):
    """The device with everything on that makes products less exact, as a user may have left it."""
    matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, conv.allow_tf32
    with ExitStack() as stack:
        if device == NAME:
            stack.enter_context(pretend_device())
        matmul.allow_tf32 = conv.allow_tf32 = True
        stack.enter_context(torch.autocast("cuda" if device == "cuda" else "cpu", dtype=torch.bfloat16))
        try:
            yield
        finally:
            matmul.allow_tf32, conv.allow_tf32 = before


def needed(device):
    """Skips the test where the device is not at hand."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip(
            "torch finds no CUDA device here (torch.cuda.is_available() is False); run this on a machine with one"
        )


def on_cpu(answer):
    """An answer's tensors in CPU memory."""
    held = {each.name: getattr(answer, each.name) for each in attrs.fields(type(answer))}
    return attrs.evolve(answer, **{key: each.cpu() for key, each in held.items() if isinstance(each, torch.Tensor)})


def check_certificates(spec, found, expected):
    """The device's bounds are those of the CPU within the errors that both state, and so what is certified."""
    error = found.error.double() + expected.error.double()
    if spec.startswith(SEARCHED):
        error = error + ELSEWHERE * expected.lower.double().abs().nan_to_num(posinf=0.0, neginf=0.0)
    apart = (found.lower.double() - expected.lower.double()).abs()
    # two bounds that both overflowed claim nothing
    apart = torch.where(found.lower.double() == expected.lower.double(), 0.0, apart)
    assert bool((apart <= error).all()), (spec, found, expected)
    # where they differ, the bound is as near to its error as the two are to each other
    differ = found.certified != expected.certified
    near = ((expected.lower.double() - expected.error.double()).abs() <= 2 * error).any(1)
    assert not bool((differ & ~near).any()), (spec, found, expected)


def drilled(seed, device):
    """How many examples the device certified for one seed's triple; raises where an attack or the CPU contradicts it."""
    found = case(seed)
    x, classes = found.x.double(), found.classes
    threat = soundness_drill.drawn_radius(found, x, classes)
    points = soundness_drill.members(found, x, threat, classes)
    with torch.no_grad():
        values = soundness_drill.margins(found.exact, x, found.y, points, classes).nan_to_num(nan=torch.inf)
    count = 0
    for spec in DRILLED:
        try:
            expected = certify(spec, found.model, found.x, found.y, threat, "cpu")
            with shortcuts(device):
                proof = certify(spec, found.model, found.x, found.y, threat, device)
        except UnsupportedError:
            continue
        wrong = soundness_drill.contradicted(found, x, proof, points, values, classes)
        assert wrong is None, (seed, spec, str(threat), wrong)
        check_certificates(spec, proof, expected)
        count += int(proof.certified.sum())
    return count


def certify(spec, model, x, y, threat, device):
    """The device's certificate, in CPU memory."""
    certifier = inradius.make(spec, Certifier)
    with warnings.catch_warnings():
        # networks at the end of the range of their type warn of what overflows
        warnings.simplefilter("ignore")
        return on_cpu(certifier(to(model, device), to(x, device), to(y, device), threat))


def check_attack(spec, threat, device, model):
    """What an attack on the device says of its own answer is true on the CPU in float64, with shortcuts and without.

    Without them the first steps are the CPU's up to rounding, and an attack without a choice to make has the same answer.
    """
    x, exact = images(3), copy.deepcopy(network(model)).double()
    y = network(model)(x).argmax(1)
    attack, threat = inradius.make(spec, Attack), inradius.make(threat, ThreatModel)
    for within in (shortcuts(device), pretend_device() if device == NAME else ExitStack()):
        with within:
            there = (to(network(model), device), to(x, device), to(y, device), threat)
            answer = on_cpu(attack(*there))
        inside = threat.contains(answer.delta.double(), x.double(), tol=2e-5)
        logits = exact(x.double() + answer.delta.double())
        assert bool((answer.success <= inside).all()), (spec, answer)
        assert bool((answer.success <= (logits.argmax(1) != y)).all()), (spec, answer, logits)
    return answer, on_cpu(attack(network(model), x, y, threat))


def check_same_attack(spec, answer, expected):
    """The same attack without shortcuts on both devices fools the same examples, except where rounding may decide."""
    close = torch.minimum(answer.margin.abs(), expected.margin.abs()) <= 1e-3
    assert bool(((answer.success == expected.success) | close).all()), (spec, answer, expected)


@pytest.mark.parametrize("device", [GPU])
@pytest.mark.parametrize("part", range(TRIPLES // PART))
def test_certificates_of_random_networks(device, part):
    needed(device)
    count = sum(drilled(seed, device) for seed in range(part * PART, (part + 1) * PART))
    assert count > PART


@pytest.mark.parametrize("device", [pytest.param("cpu", marks=pytest.mark.slow), NAME])
def test_certificates_of_a_few_random_networks(device):
    assert sum(drilled(seed, device) for seed in range(2)) > 1


@pytest.mark.parametrize("device", [GPU])
@pytest.mark.parametrize("threat", CERTIFIED_SETS)
@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("spec", CERTIFIER_SPECS)
def test_certifiers(spec, model, threat, device):
    needed(device)
    compared(spec, model, threat, device)


@pytest.mark.parametrize("device", ["cpu", NAME])
@pytest.mark.parametrize("spec", ["interval", "crown", "certifier_cascade"])
def test_a_few_certifiers(spec, device):
    compared(spec, "convolutional", CERTIFIED_SETS[0], device)


def compared(spec, model, threat, device):
    x = images(2)
    expected = certified(spec, threat, network(model), x)
    with shortcuts(device):
        found = asked(lambda: plain(spec, threat, to(network(model), device), to(x, device)))
    if isinstance(expected, str):
        assert found == expected
    else:
        check_certificates(spec, on_cpu(found), expected)


def plain(spec, threat, model, x):
    """The certificate for the labels that the model gives without shortcuts."""
    with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False), torch.no_grad():
        y = model(x).argmax(1)
    certifier, threat = inradius.make(spec, Certifier), inradius.make(threat, ThreatModel)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return certifier(model, x, y, threat)


@pytest.mark.parametrize("device", [GPU])
@pytest.mark.parametrize("model", ["convolutional", "attention"])
@pytest.mark.parametrize(("name", "spec", "threat"), ATTACK_CASES)
@pytest.mark.usefixtures("surrogate")
def test_attacks(name, spec, threat, model, device):
    needed(device)
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name])
    check_same_attack(spec, *check_attack(spec, threat, device, model))


@pytest.mark.parametrize("device", ["cpu", NAME])
@pytest.mark.parametrize("name", ["fgsm", "pgd", "square", "ddn"])
@pytest.mark.usefixtures("surrogate")
def test_a_few_attacks(name, device):
    spec, threat = next((spec, threat) for known, spec, threat in ATTACK_CASES if known == name)
    check_same_attack(spec, *check_attack(spec, threat, device, "convolutional"))


def test_the_checks_find_a_bound_that_is_too_high_and_a_certificate_that_the_cpu_does_not_give():
    expected = certified("crown", CERTIFIED_SETS[0], network("convolutional"), images(2))
    check_certificates("crown", expected, expected)
    for wrong in (
        attrs.evolve(expected, lower=expected.lower + 4 * expected.error + 1e-3),
        attrs.evolve(expected, certified=~expected.certified),
        attrs.evolve(expected, lower=torch.full_like(expected.lower, torch.nan)),
    ):
        with pytest.raises(AssertionError):
            check_certificates("crown", wrong, expected)
    off = attrs.evolve(expected, lower=expected.lower - 0.5 * expected.error)
    check_certificates("crown", off, expected)


def test_the_drill_finds_a_certificate_that_an_attack_breaks(monkeypatch):
    real = Certifier.__call__

    def boasting(self, *args, **options):
        proof = real(self, *args, **options)
        return attrs.evolve(proof, certified=torch.ones_like(proof.certified), lower=proof.lower.abs() + 1e6)

    monkeypatch.setattr(Certifier, "__call__", boasting)
    with pytest.raises(AssertionError, match="is reached"):
        drilled(0, "cpu")


def test_the_checks_find_a_success_that_is_none(monkeypatch):
    real = Attack.__call__

    def boasting(self, *args, **options):
        answer = real(self, *args, **options)
        return attrs.evolve(answer, success=torch.ones_like(answer.success), delta=torch.zeros_like(answer.delta))

    monkeypatch.setattr(Attack, "__call__", boasting)
    with pytest.raises(AssertionError):
        check_attack("fgsm()", "linf(eps=0.01)", "cpu", "convolutional")
