"""Defaults that another plugin brings: without it, the error says whose default is missing, and what to do."""

import subprocess
import sys
import textwrap

import pytest

import inradius
from inradius.components.default import default

# every component that needs no argument is made; what cannot be made is printed with its error
CODE = textwrap.dedent("""
    import warnings
    import attrs, inradius
    from inradius.components.component import Component
    from inradius.components.registry import entries
    warnings.simplefilter("ignore")
    for entry in entries().values():
        if not (isinstance(entry.build, type) and issubclass(entry.build, Component)):
            continue
        if any(field.init and field.default is attrs.NOTHING for field in attrs.fields(entry.build)):
            continue
        try:
            inradius.make(f"{entry.name}()")
        except inradius.SpecError as error:
            print(entry.name, "|", str(error).replace(chr(10), "/"))
""")


def failures(disabled, monkeypatch):
    monkeypatch.setenv("INRADIUS_DISABLE_PLUGINS", disabled)
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    return dict(line.split(" | ", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("plugin", "owners"),
    [
        ("gradient", {"adversarial", "fat", "free", "beta_at", "trades", "ddi", "average_parts", "class_accuracy"}),
        ("bounds", {"certified", "sabr", "crown_ibp", "network_cascade"}),
    ],
)
def test_a_default_of_a_disabled_plugin_is_told_with_its_owner(plugin, owners, monkeypatch):
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
