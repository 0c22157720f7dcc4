"""The contents of one plugin: its names by kind, its layer rules, and the cases by which it is to be checked."""

from collections.abc import Mapping
from typing import Any

import attrs
from torch import nn

from inradius.components.answers import leave_out, pairs
from inradius.components.installed import Plugin, host
from inradius.components.registry import KINDS
from inradius.errors import PluginError, SpecError

Subject = str | nn.Module


@attrs.frozen(eq=False)
class Contents:
    """The contents of a plugin: kinds by name, the layers that have a rule, and arguments of the check of each case."""

    plugin: Plugin
    names: Mapping[str, type]
    layers: tuple[type[nn.Module], ...]
    cases: Mapping[Subject, Mapping[str, Any]]


def contents(name: str) -> Contents:
    """The contents of the plugin with this name of an entry point, or of the distribution with this name.

    Raises ``SpecError`` for an unknown name, and for a plugin that is blocked or failed to load; ``PluginError`` where its
    hook ``law_cases`` fails.
    """
    found = [plugin for plugin in host().plugins if name in (plugin.name, plugin.distribution)]
    if not found:
        known = ", ".join(plugin.name for plugin in host().plugins)
        raise SpecError(f"{name!r} is no installed plugin; installed are {known}")
    exact = [plugin for plugin in found if plugin.name == name] or found
    if len(exact) > 1:
        several = ", ".join(plugin.name for plugin in exact)
        raise SpecError(f"the distribution {name!r} has the plugins {several}; name one of them")
    (plugin,) = exact
    if plugin.blocked or plugin.failure:
        raise SpecError(
            f"the plugin {plugin.name!r} is left out: {plugin.failure or 'INRADIUS_DISABLE_PLUGINS names it'}"
        )
    names = {
        spec: kind
        for hook, kind in KINDS.items()
        for answer in _answers(plugin, hook)
        for spec, _ in pairs(kind, answer)
    }
    layers = tuple(layer for answer in _answers(plugin, "layer_rules") for layer in answer)
    return Contents(plugin, names, layers, _cases(plugin))


def _answers(plugin: Plugin, hook: str) -> list[Any]:
    """The plugin's own answers to a hook."""
    known = getattr(host().manager.hook, hook).get_hookimpls()
    return [each.function() for each in known if each.plugin_name == plugin.name]


def _cases(plugin: Plugin) -> dict[Subject, Mapping[str, Any]]:
    cases: dict[Subject, Mapping[str, Any]] = {}
    try:
        answers = _answers(plugin, "law_cases")
    except Exception as error:  # a stranger's code, which runs here for the first time
        raise PluginError(
            f"the hook law_cases of the plugin {plugin.name!r} fails with {type(error).__name__}: {error}"
        ) from error
    for answer in answers:
        if isinstance(answer, Mapping) and all(isinstance(given, Mapping) for given in answer.values()):
            cases |= answer
        else:
            leave_out(
                f"the plugin {plugin.name!r} answers the hook law_cases with {answer!r}; allowed are arguments of checks by specs"
            )
    return cases
