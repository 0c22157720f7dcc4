"""Names and what they make: every mistake in a spec is one sentence that says what is allowed."""

import attrs
import pytest
from torch import nn

import inradius
from inradius import Attack, Component, Dataset, Objective, PluginWarning, SpecError, ThreatModel, make
from inradius.attacks.attack import Attacked
from inradius.components import registry, validators


@attrs.frozen(kw_only=True)
class Blob(ThreatModel):
    """A set that knows its radius only."""

    eps: float = attrs.field(validator=validators.radius)
    bounds: tuple[float, float] | None = attrs.field(default=(0.0, 1.0), validator=validators.box)

    convex = True

    def project(self, delta, x):
        return delta

    def linear_max(self, c, x):
        return c

    def gauge(self, delta, x):
        return delta.flatten(1).sum(1)

    def scaled(self, factor):
        return attrs.evolve(self, eps=factor * self.eps)


@attrs.frozen(kw_only=True)
class Poke(Attack):
    """An attack that does nothing."""

    positional = ("inner",)

    inner: Objective | None = None
    steps: int = attrs.field(default=1, validator=validators.count)

    def perturb(self, batch, *, observe=None):
        return batch.x * 0


def a_file(path: str, *, rows: int = 3) -> Dataset:
    """A data set from a file."""
    return Dataset(path, rows, None)


def a_network(width: int = 4) -> nn.Module:
    """A network."""
    return nn.Linear(width, 2)


@pytest.fixture
def toys(register):
    register(threat_models=[Blob], attacks=[Poke], datasets={"a_file": a_file}, models={"a_network": a_network})


def message(spec, kind=object):
    with pytest.raises(SpecError) as caught:
        make(spec, kind)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.usefixtures("toys")
def test_a_spec_makes_what_it_names():
    assert make("blob(eps=8/255)", ThreatModel) == Blob(eps=8 / 255)
    assert make("blob(eps=1, bounds=None)", ThreatModel).bounds is None
    assert make("poke(margin(), steps=2)", Attack) == Poke(inner=make("margin()"), steps=2)
    assert make("a_file:some/where.npz", Dataset).inputs == "some/where.npz"
    assert make("a_network(width=3)", nn.Module).in_features == 3


@pytest.mark.usefixtures("toys")
def test_a_thing_that_is_made_already_is_returned():
    blob = Blob(eps=1)
    assert make(blob, ThreatModel) is blob
    with pytest.raises(SpecError, match=r"Blob\(eps=1, bounds=\(0.0, 1.0\)\) is a Blob, but an Attack is needed here"):
        make(blob, Attack)


@pytest.mark.usefixtures("toys")
def test_a_name_of_another_kind_is_refused():
    assert message("poke()", ThreatModel) == "'poke()' makes an Attack, but a ThreatModel is needed here"
    assert message("blob(eps=1)", Attack) == "'blob(eps=1)' makes a ThreatModel, but an Attack is needed here"
    assert message("a_network()", Attack) == "'a_network()' makes a model, but an Attack is needed here"
    assert message("a_file:x", nn.Module) == "'a_file:x' makes a Dataset, but a model is needed here"


def test_pgd_is_no_threat_model():
    assert message("pgd()", ThreatModel) == "'pgd()' makes an Attack, but a ThreatModel is needed here"


@pytest.mark.usefixtures("toys")
def test_an_unknown_name_brings_the_nearest_names():
    assert message("blobb(eps=1)").startswith("'blobb' is not a known name; did you mean blob")
    assert "did you mean poke" in message("poek()", ThreatModel)
    assert message("poke(inner=margn())").startswith("'margn' is not a known name; did you mean margin")


@pytest.mark.usefixtures("toys")
def test_a_name_near_nothing_brings_the_names_of_the_kind():
    text = message("zzzzzzzz", ThreatModel)
    assert text.startswith("'zzzzzzzz' is not a known name; known here are ")
    assert "blob" in text
    assert "poke" not in text


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ("blob(epsilon=1)", "there is no parameter 'epsilon'"),
        ("blob()", "argument: 'eps'"),
        ("blob(1)", "1 has no parameter name"),
        ("blob(eps=-1)", "eps=-1 is not a radius; allowed is a finite number ≥ 0"),
        ("blob(eps=1e999)", "eps=inf is not a radius"),
        ("blob(eps=" + "9" * 400 + ")", "is not a radius"),
        ("blob(eps='1')", "eps='1' is not a radius"),
        ("blob(eps=True)", "eps=True is not a radius"),
        ("blob(eps=1, bounds=(1, 0))", "bounds=(1, 0) is not a box"),
        ("blob(eps=1, bounds=(0, 1, 2))", "bounds=(0, 1, 2) is not a box"),
        ("blob(eps=1, bounds=(0, " + "9" * 400 + "))", "is not a box"),
    ],
)
def test_a_wrong_parameter_brings_the_parameters(spec, what):
    text = message(spec)
    assert text.startswith("blob: ")
    assert what in text
    assert text.endswith("; the parameters are eps, bounds")


@pytest.mark.usefixtures("toys")
def test_a_parameter_is_given_once():
    assert message("poke(margin(), inner=margin())") == "poke: inner is given twice; give it once"


@pytest.mark.usefixtures("toys")
def test_functions_have_parameters_too():
    assert message("a_file()") == "a_file: missing a required argument: 'path'; the parameters are path, rows"
    assert "the parameters are width" in message("a_network(depth=3)")
    assert "the parameters are width" in message("a_network(width='3')")


BLOB = """
import inradius
import {home}

class Blob({home}.Blob):
    pass

@inradius.hookimpl
def threat_models():
    return [Blob]
"""


def test_two_plugins_with_one_name_are_a_warning_that_names_both(install):
    source = BLOB.format(home=__name__)
    modules = [install(name, "1.0", source) for name in ("acme-one", "acme-two")]
    with pytest.warns(PluginWarning) as caught:
        assert str(make("blob(eps=1)")).startswith("blob(")
    (text,) = [str(warning.message) for warning in caught]
    assert text.startswith("two plugins bring the name 'blob': ")
    assert f"{modules[0]} (acme-one 1.0)" in text
    assert f"{modules[1]} (acme-two 1.0)" in text
    assert "INRADIUS_DISABLE_PLUGINS" in text


@pytest.mark.parametrize("name", ["aaa", "zzz"])
def test_a_stranger_does_not_take_a_built_in_s_name(install, name):
    install(name, "1.0", BLOB.format(home=__name__).replace("Blob", "Linf").replace(".Linf", ".Blob"))
    with pytest.warns(PluginWarning, match=rf"inradius_lp.*, which counts, and .* \({name} 1\.0\), which is left out"):
        entry = registry.find("linf")
    assert entry.build.__module__.startswith("inradius_lp")


def test_two_plugins_with_one_layer_rule_are_a_warning_that_names_both(register):
    class Rule(inradius.LayerRule):
        def interval(self, op, lower, upper):
            return lower, upper

    register(name="one", layer_rules={nn.Bilinear: Rule()})
    register(name="two", layer_rules={nn.Bilinear: Rule()})
    with pytest.warns(PluginWarning, match="two plugins bring a layer rule for Bilinear"):
        assert nn.Linear in registry.layer_rules()


@pytest.mark.parametrize(
    ("found", "what"), [([5], r"with \[5\]"), (5, "with 5"), ({"Linear": 5}, "registers 5 for 'Linear'")]
)
def test_layer_rules_that_are_none_are_left_out(register, found, what):
    register(layer_rules=found)
    with pytest.warns(PluginWarning, match=what):
        assert nn.Linear in registry.layer_rules()


@pytest.mark.parametrize(
    ("hooks", "what"),
    [
        ({"threat_models": [Poke]}, f"{__name__} registers {Poke} as 'poke'"),
        (
            {"threat_models": [Blob(eps=1)]},
            "Blob(eps=1, bounds=(0.0, 1.0)) as 'Blob', which is left out; allowed are ThreatModel",
        ),
        ({"attacks": [Attacked]}, "as 'Attacked', which is left out; allowed are Attack classes"),
        (
            {"attacks": Poke},
            f"a plugin answers a hook with {Poke}, which is left out; allowed are Attack",
        ),
        ({"attacks": [5]}, "an unknown module registers 5 as 'int', which is left out; allowed are Attack classes"),
        ({"attacks": 3}, "a plugin answers a hook with 3, which is left out; allowed are Attack classes"),
        ({"datasets": [a_file]}, "allowed are functions that make a Dataset, by their names"),
        (
            {"models": {"a_network": 3}},
            "registers 3 as 'a_network', which is left out; allowed are functions that make a model",
        ),
        ({"models": {"not a name": a_network}}, "as 'not a name', which is left out; allowed are functions"),
    ],
)
def test_what_a_hook_returns_is_checked(register, hooks, what):
    register(**hooks)
    with pytest.warns(PluginWarning) as caught:
        assert "pgd" in registry.entries()
    (text,) = [str(warning.message) for warning in caught]
    assert what in text
    assert "\n" not in text


def test_the_names_of_first_party_plugins_stand_in_one_namespace():
    table = registry.entries()
    assert {"cross_entropy", "margin", "dlr", "targeted"} <= table.keys()
    for name, entry in table.items():
        assert name.isidentifier()
        assert entry.name == name
        assert not issubclass(entry.kind, Component) or issubclass(entry.build, entry.kind)
        assert "inradius 0" in entry.origin or "acme" in entry.origin
