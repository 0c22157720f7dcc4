"""Finding and loading plugins: on first use, once, and never at ``import inradius``."""

import os
import warnings
from functools import cache
from importlib.metadata import EntryPoint, entry_points

import attrs
import pluggy

from inradius.components import hookspecs
from inradius.components.hookimpl import NAMESPACE
from inradius.components.plugin_api import DECLARED, check_api, declared_unread
from inradius.errors import PluginError, PluginWarning


@attrs.frozen
class Plugin:
    """A plugin as it was found: its entry point's name, its distribution, and why it failed (None where it did not)."""

    name: str
    distribution: str
    version: str
    value: str
    failure: str | None = None
    blocked: bool = False


@attrs.define
class Host:
    """The plugin manager with what was found on the way."""

    manager: pluggy.PluginManager
    plugins: tuple[Plugin, ...]


@cache
def host() -> Host:
    """The host of this process, plugins loaded."""
    manager = pluggy.PluginManager(NAMESPACE)
    manager.add_hookspecs(hookspecs)
    blocked = disabled_names()
    plugins = tuple(_load(manager, entry, blocked) for entry in _entry_points())
    _check_pending(manager)
    return Host(manager, plugins)


def disabled_names() -> frozenset[str]:
    """The names in ``INRADIUS_DISABLE_PLUGINS``."""
    names = os.environ.get("INRADIUS_DISABLE_PLUGINS", "").split(",")
    return frozenset(name.strip() for name in names if name.strip())


def _entry_points() -> list[EntryPoint]:
    return sorted(entry_points(group=NAMESPACE), key=lambda entry: entry.name)


def _load(manager: pluggy.PluginManager, entry: EntryPoint, blocked: frozenset[str]) -> Plugin:
    distribution = entry.dist.name if entry.dist else "an unknown distribution"
    version = entry.dist.version if entry.dist else "of unknown version"
    plugin = Plugin(entry.name, distribution, version, entry.value)
    if entry.name in blocked:
        manager.set_blocked(entry.name)
        return attrs.evolve(plugin, blocked=True)
    try:
        module = entry.load()
        check_api(getattr(module, DECLARED, None))
        _register(manager, module, entry.name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a stranger's module raises, everything else must go on
        reason = _reason(error, entry)
        warnings.warn(
            f"the plugin {entry.name!r} of {distribution} {version} failed to load and is left out: {reason}",
            PluginWarning,
            stacklevel=2,
        )
        return attrs.evolve(plugin, failure=reason)
    return plugin


def _reason(error: BaseException, entry: EntryPoint) -> str:
    """Why a plugin failed; one that was written for another version of the API may fail in any way, and that is told."""
    try:
        check_api(declared_unread(entry.value))
    except PluginError as other:
        return str(other)
    return f"{type(error).__name__}: {error}"


def _register(manager: pluggy.PluginManager, module: object, name: str) -> None:
    """Registers a plugin that answers every hook; one that imports its parts there may fail only then.

    The cases of laws are asked by the check alone: they may need hypothesis, which a user has no reason to install.
    """
    manager.register(module, name=name)
    try:
        for caller in manager.get_hookcallers(module) or []:
            for implementation in caller.get_hookimpls():
                if implementation.plugin is module and caller.spec is not None and caller.name != "law_cases":
                    implementation.function()
    except BaseException:
        manager.unregister(module)
        raise


def _check_pending(manager: pluggy.PluginManager) -> None:
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        known = ", ".join(
            sorted(name for name in vars(hookspecs) if hasattr(getattr(hookspecs, name), "inradius_spec"))
        )
        name = manager.get_name(error.plugin) or repr(error.plugin)
        raise PluginError(
            f"the plugin {name!r} implements a hook that does not exist ({error}); the hooks are {known}; "
            f"INRADIUS_DISABLE_PLUGINS={name} leaves the plugin out"
        ) from error
