"""Defaults that another plugin brings: without it, the error says whose default is missing, and what to do."""

import attrs
import pytest

import inradius
from inradius.components.component import Component
from inradius.components.default import default
from inradius.components.registry import entries


def failures(disabled, monkeypatch):
    """The errors of the components that need no argument and cannot be made without a plugin, by name."""
    monkeypatch.setenv("INRADIUS_DISABLE_PLUGINS", disabled)
    found = {}
    for entry in entries().values():
        if not (isinstance(entry.build, type) and issubclass(entry.build, Component)):
            continue
        if any(field.init and field.default is attrs.NOTHING for field in attrs.fields(entry.build)):
            continue
        try:
            inradius.make(f"{entry.name}()")
        except inradius.SpecError as error:
            found[entry.name] = str(error)
    return found


@pytest.mark.parametrize(
    ("plugin", "owners"),
    [
        ("gradient", {"adversarial", "fat", "free", "beta_at", "trades", "ddi", "average_parts", "class_accuracy"}),
        ("bounds", {"certified", "sabr", "crown_ibp", "network_cascade"}),
    ],
)
def test_a_default_of_a_disabled_plugin_is_told_with_its_owner(plugin, owners, host, monkeypatch):
    found = failures(plugin, monkeypatch)
    assert owners <= found.keys()
    for name, sentence in found.items():
        assert sentence.startswith("the default "), (name, sentence)
        assert f"left out is the plugin '{plugin}'" in sentence, (name, sentence)
        assert sentence.endswith("or enable the plugin that brings it"), (name, sentence)
    for name in owners - {"beta_at", "certified", "sabr", "crown_ibp", "network_cascade"}:
        assert f" of {name}, " in found[name]


def test_a_default_is_made_when_it_is_needed():
    with pytest.raises(
        inradius.SpecError, match=r"the default attack of mine, pgdd\(\), cannot be made: 'pgdd' is not"
    ):
        default("pgdd()", inradius.Attack, of="attack of mine")()
    assert default("pgd(steps=3)", inradius.Attack, of="attack of mine")() == inradius.make("pgd(steps=3)")
