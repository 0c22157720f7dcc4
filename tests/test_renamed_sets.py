"""Attacks, certifiers and adapters ask a set's oracles and not its name: a renamed set and a wrapped one get equal answers."""

import inspect

import attrs
import pytest
import torch
from device_cases import ATTACKS, CERTIFIERS, LIBRARIES, asked, images, leaves, network
from in_turn import in_turn

import inradius
from inradius import Attack, Certifier, Oracles, ThreatModel
from inradius_lp import L1, L2, Linf
from inradius_wasserstein import Wasserstein


def renamed(threat):
    """The same set as a class of another name."""
    kind = type(threat)
    other = type(f"My{kind.__name__}", (kind,), {"name": f"my_{kind.spec_name()}", "__module__": __name__})
    return other(**{field.alias: getattr(threat, field.name) for field in attrs.fields(kind)})


@attrs.frozen(kw_only=True)
class Wrapped(ThreatModel):
    """A stranger's set that asks another one everything."""

    inner: ThreatModel

    def scaled(self, factor):
        return attrs.evolve(self, inner=self.inner.scaled(factor))

    def per_example(self, factors):
        return self.inner.per_example(factors)


def delegated(name, member):
    if isinstance(member, property):
        return property(lambda self: getattr(self.inner, name))
    return lambda self, *given, **named: getattr(self.inner, name)(*given, **named)


for _name, _member in inspect.getmembers(Oracles):
    if not _name.startswith("_") and _name not in ("scaled", "per_example", "select", "members", "contains", "at"):
        setattr(Wrapped, _name, delegated(_name, _member))
Wrapped.__abstractmethods__ = frozenset()

MAKERS = {"renamed": renamed, "wrapped": lambda threat: Wrapped(inner=threat)}
SETS = {"linf": Linf, "l2": L2, "l1": L1, "wasserstein": Wasserstein}
CASES = [
    (spec, threat)
    for name, asked_for in ATTACKS.items()
    for spec, threat in asked_for
    if threat.partition("(")[0] in SETS and name != "transfer"
]


def told(function, threat):
    """The answer's parts, or the refusal without the set's name."""
    found = asked(lambda: function(threat))
    return found.replace(str(threat), "the set") if isinstance(found, str) else leaves(found)


def check_equal(found, expected):
    if isinstance(expected, str):
        assert found == expected
        return
    assert found.keys() == expected.keys()
    for place, value in expected.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(found[place], value, rtol=0, atol=0, equal_nan=True, msg=place)
        elif not callable(value):
            assert found[place] == value, place


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize(("spec", "threat"), CASES, ids=[f"{spec} {threat}" for spec, threat in CASES])
def test_attacks_do_not_ask_for_the_name(spec, threat, maker):
    library = LIBRARIES.get(spec.partition("(")[0])
    if library is not None:
        pytest.importorskip(library)
    model, x, own = network("convolutional"), images(), inradius.make(threat, ThreatModel)
    y = model(x).argmax(1)
    answers = [
        told(lambda each: inradius.make(spec, Attack)(model, x, y, each), threat)
        for threat in (own, MAKERS[maker](own))
    ]
    check_equal(answers[1], answers[0])


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize(
    ("spec", "threat"),
    in_turn(
        [spec for specs in CERTIFIERS.values() for spec in specs],
        ["linf(eps=0.02)", "l2(eps=0.05)", "l1(eps=0.1, bounds=None)", "wasserstein(eps=0.01)"],
    ),
)
def test_certifiers_do_not_ask_for_the_name(spec, threat, maker):
    model, x, own = network("convolutional"), images(2), inradius.make(threat, ThreatModel)
    y = model(x).argmax(1)
    answers = [
        told(lambda each: inradius.make(spec, Certifier)(model, x, y, each), threat)
        for threat in (own, MAKERS[maker](own))
    ]
    check_equal(answers[1], answers[0])


@pytest.mark.parametrize("kind", SETS)
def test_a_radius_for_each_example_keeps_norm_and_bounds(kind):
    threat = SETS[kind](eps=0.5)
    each = threat.per_example(torch.tensor([1.0, 0.5]))
    assert (each.norm, each.bounds, each.is_box) == (threat.norm, threat.bounds, threat.is_box)
    assert each.radius.tolist() == [0.5, 0.25]
    assert each.scaled(2.0).radius.tolist() == [1.0, 0.5]
    assert each.per_example(torch.tensor([0.5, 4.0])).radius.tolist() == [0.25, 1.0]


def test_oracles_that_know_no_other_radius_say_so():
    plain = inradius.make("linf(eps=0.5)", ThreatModel)
    for ask in (lambda: Oracles.scaled(plain, 2.0), lambda: Oracles.per_example(plain, torch.ones(2))):
        with pytest.raises(inradius.UnsupportedError, match="no other radius"):
            ask()
