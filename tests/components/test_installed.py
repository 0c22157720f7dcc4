"""Plugins load on first use; one that fails is a warning that names it, and everything else goes on."""

import sys

import pytest

import inradius
from inradius import PluginError, PluginWarning, SpecError, make
from inradius.components import registry
from inradius.components.plugins import installed

GOOD = """
import inradius

class Quiet(inradius.Objective):
    def __call__(self, logits, y, goal=None):
        return logits[:, 0]

@inradius.hookimpl
def objectives():
    return [Quiet]
"""
MISSPELT = "import inradius\n@inradius.hookimpl\ndef objectivs():\n    return []\n"


def found(name):
    return next(plugin for plugin in installed() if plugin.name == name)


def test_a_plugin_is_found_by_its_entry_point(install):
    module = install("acme-quiet", "1.2", GOOD)
    plugin = found("acme-quiet")
    assert (plugin.distribution, plugin.version, plugin.value) == ("acme-quiet", "1.2", module)
    assert plugin.failure is None
    assert not plugin.blocked
    assert str(make("quiet()")) == "quiet()"
    assert "acme-quiet 1.2" in registry.entries()["quiet"].origin


@pytest.mark.parametrize(
    ("source", "value", "reason"),
    [
        ("import a_library_that_nobody_has", None, "ModuleNotFoundError: No module named 'a_library_that_nobody_has'"),
        ("1 / 0", None, "ZeroDivisionError: division by zero"),
        ("def f(:", None, "SyntaxError"),
        ("", "installed_nowhere", "ModuleNotFoundError"),
        ("", "installed_acme_broken:plugin", "AttributeError"),
        ("raise SystemExit(3)", None, "SystemExit: 3"),
        ("raise BaseException('no')", None, "BaseException: no"),
        (GOOD.replace("objectives()", "objectives(unknown)"), None, "PluginValidationError"),
        (GOOD.replace("return [Quiet]", "import a_library_that_nobody_has"), None, "ModuleNotFoundError"),
    ],
)
def test_a_plugin_that_fails_to_load_is_a_warning_and_is_remembered(install, source, value, reason):
    install("acme-broken", "1.2", source, value=value)
    install("acme-quiet", "3.4", GOOD)
    with pytest.warns(PluginWarning) as caught:
        assert "quiet" in registry.entries()
    (warning,) = caught
    start = "the plugin 'acme-broken' of acme-broken 1.2 failed to load and is left out: "
    assert str(warning.message).startswith(start + reason)
    assert found("acme-broken").failure.startswith(reason)
    assert found("acme-quiet").failure is None
    with pytest.raises(SpecError, match=r"left out is the plugin 'acme-broken' of acme-broken 1\.2"):
        make("nobody_has_this()")


def test_a_plugin_that_failed_is_not_tried_again(install):
    install("acme-broken", "1.2", "1 / 0")
    with pytest.warns(PluginWarning):
        installed()
    registry.entries()
    make("margin()")


def test_two_entry_points_with_one_name_leave_one_out(install):
    install("acme-one", "1.0", GOOD, entry="same")
    install("acme-two", "1.0", GOOD.replace("Quiet", "Silent"), entry="same")
    with pytest.warns(PluginWarning, match=r"the plugin 'same' of acme-(one|two) 1\.0 failed to load"):
        names = registry.entries().keys()
    assert len({"quiet", "silent"} & names) == 1


@pytest.mark.parametrize("names", ["acme-quiet", "other, acme-quiet ,,another"])
def test_a_plugin_can_be_disabled(install, monkeypatch, names):
    module = install("acme-quiet", "1.2", GOOD)
    monkeypatch.setenv("INRADIUS_DISABLE_PLUGINS", names)
    assert found("acme-quiet").blocked
    assert module not in sys.modules
    assert "cross_entropy" in registry.entries()
    with pytest.raises(SpecError, match=r"'acme-quiet' of acme-quiet 1\.2 \(blocked\)"):
        make("quiet()")


def test_a_misspelt_hook_is_an_error_that_names_the_hooks(install, monkeypatch):
    install("acme-typo", "1.2", MISSPELT)
    with pytest.raises(PluginError) as caught:
        make("margin()")
    text = str(caught.value)
    assert text.startswith("the plugin 'acme-typo' implements a hook that does not exist")
    assert "objectivs" in text
    assert (
        "the hooks are attacks, certifiers, datasets, defenses, directions, law_cases, layer_rules, models, monitors, objectives, "
        "outcomes, regularizers, samplers, schedules, threat_models, transforms, updates" in text
    )
    assert "INRADIUS_DISABLE_PLUGINS=acme-typo leaves the plugin out" in text
    monkeypatch.setenv("INRADIUS_DISABLE_PLUGINS", "acme-typo")
    assert make("margin()")


def test_the_version_is_the_distribution_s():
    from importlib.metadata import version

    assert inradius.__version__ == version("inradius")
