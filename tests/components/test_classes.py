"""Classes of plugins as attributes of ``inradius.attacks``, ``certifiers``, ``sets`` and ``defenses``."""

import importlib

import class_stubs
import pytest

import inradius
from inradius import Attack, Certifier, Defense, ThreatModel
from inradius.components.classes import classes_of
from inradius.components.registry import KINDS, entries

PACKAGES = {"attacks": Attack, "certifiers": Certifier, "threat_models": ThreatModel, "defenses": Defense}


@pytest.mark.parametrize("hook", PACKAGES)
def test_every_registered_class_is_an_attribute(hook):
    package = importlib.import_module("inradius.sets" if hook == "threat_models" else f"inradius.{hook}")
    registered = [entry.build for entry in entries().values() if entry.kind is KINDS[hook]]
    assert registered
    for build in registered:
        assert getattr(package, build.__name__) is build
        assert issubclass(build, PACKAGES[hook])
        assert build.__name__ in dir(package)


def test_a_class_and_its_spec_build_equal_components():
    assert inradius.attacks.PGD(steps=3) == inradius.make("pgd(steps=3)")
    assert inradius.sets.Linf(eps=0.1) == inradius.make("linf(eps=0.1)")
    assert inradius.certifiers.Crown() == inradius.make("crown()")
    assert inradius.defenses.TRADES() == inradius.make("trades()")


def test_a_third_partys_class_is_found(register):
    class Stranger(inradius.attacks.PGD):
        name = "stranger"

    register(attacks=[Stranger])
    assert inradius.attacks.Stranger is Stranger


def test_a_name_that_two_classes_share_is_refused_with_both(register):
    class PGD(inradius.attacks.PGD):
        name = "other_pgd"

    register(attacks=[PGD])
    with pytest.raises(AttributeError, match=r"ambiguous: there are .*inradius_gradient\.pgd\.PGD.*import the one"):
        _ = inradius.attacks.PGD


def test_an_unknown_class_gets_the_nearest_names():
    with pytest.raises(AttributeError, match=r"has no class 'PDG'; did you mean .*\bPGD\b"):
        _ = inradius.attacks.PDG


@pytest.mark.parametrize("hook", class_stubs.STUBS)
def test_the_stubs_name_the_classes_that_are_there(hook):
    file = class_stubs.ROOT / "toolkit" / "inradius" / class_stubs.STUBS[hook]
    stub = file.read_text()
    for name, build in classes_of(hook).items():
        if build.__module__.startswith("inradius_"):
            assert f"from {build.__module__} import {name} as {name}" in stub, "run python tests/shared/class_stubs.py"
    assert stub == class_stubs.stub(hook)
