"""The answers of plugins to hooks: names with their builders; a wrong one is left out with a warning."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn

from inradius.components import installed as _installed
from inradius.components.component import Component
from inradius.errors import PluginWarning


def prevails(new: object, old: object, what: str) -> bool:
    """True where the new one of two things takes the place of the old: a part of inradius itself prevails over others."""
    if new is old:
        return False
    wins = _is_own(new) and not _is_own(old)
    first, second = (new, old) if wins else (old, new)
    leave_out(
        f"two plugins bring {what}: {origin(first)}, which counts, and {origin(second)}, which is left out; "
        "leave one out with INRADIUS_DISABLE_PLUGINS=name"
    )
    return wins


def leave_out(sentence: str) -> None:
    """Warns of a part of a plugin that is wrong and left out."""
    warnings.warn(sentence, PluginWarning, stacklevel=2)


def pairs(kind: type, found: object) -> list[tuple[str, Callable[..., Any]]]:
    """Names with their builders, from the answer to a hook; an entry that is neither is left out with a warning."""
    parts = issubclass(kind, Component)
    allowed = f"{kind.__name__} classes" if parts else f"functions that make {article(title(kind))}, by their names"
    if isinstance(found, Mapping):
        named = list(found.items())
    elif parts and isinstance(found, Iterable):
        named = [(_spec_name(build), build) for build in found]
    else:
        leave_out(f"a plugin answers a hook with {found!r}, which is left out; allowed are {allowed}")
        return []
    good = []
    for name, build in named:
        fits = isinstance(build, type) and issubclass(build, kind) if parts else callable(build)
        if fits and str(name).isidentifier():
            good.append((name, build))
        else:
            leave_out(f"{origin(build)} registers {build!r} as {name!r}, which is left out; allowed are {allowed}")
    return good


def _spec_name(build: object) -> str:
    known = isinstance(build, type) and issubclass(build, Component)
    return build.spec_name() if known else getattr(build, "__name__", type(build).__name__)  # type: ignore[attr-defined]


def origin(build: object) -> str:
    """The module of a thing, with the distribution that brought it."""
    plugin = _plugin(build)
    return _module(build) if plugin is None else f"{_module(build)} ({plugin.distribution} {plugin.version})"


def _is_own(build: object) -> bool:
    plugin = _plugin(build)
    return plugin is not None and plugin.distribution == "inradius"


def _plugin(build: object) -> _installed.Plugin | None:
    """The plugin whose module made a thing."""
    home = _module(build).split(".")[0]
    found = _installed.host().plugins
    exact = (plugin for plugin in found if plugin.value == _module(build))
    return next(exact, next((p for p in found if p.value.split(":")[0].split(".")[0] == home), None))


def _module(build: object) -> str:
    return str(getattr(build, "__module__", "an unknown module"))


def title(kind: type) -> str:
    """The word for things of this kind."""
    return "model" if kind is nn.Module else "component" if kind is object else kind.__name__


def article(noun: str) -> str:
    """The noun with a or an before it."""
    return f"{'an' if noun[:1] in 'AEIOUaeiou' else 'a'} {noun}"
