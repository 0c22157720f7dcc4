"""The classes that plugins register, by their Python names: what ``inradius.attacks.PGD`` and its like look up."""

import difflib

from inradius.components.registry import KINDS, entries


def classes_of(hook: str) -> dict[str, type]:
    """The registered classes of a hook such as ``attacks`` by their Python names; plugins are loaded on the first call.

    A name that several classes share is left out; ``find_class`` says where they are.
    """
    named: dict[str, list[type]] = {}
    for build in _builds(hook):
        named.setdefault(build.__name__, []).append(build)
    return {name: found[0] for name, found in sorted(named.items()) if len(found) == 1}


def find_class(hook: str, package: str, name: str) -> type:
    """The registered class with this Python name. Raises ``AttributeError`` with the nearest names where there is none.

    package: the one that is asked, for the message. Names that do not begin with a capital letter are no classes; for
    those no plugin is loaded.
    """
    if not name[:1].isupper():
        raise AttributeError(f"{package} has no attribute {name!r}")
    known = classes_of(hook)
    if name in known:
        return known[name]
    same = [build for build in _builds(hook) if build.__name__ == name]
    if same:
        listed = " and ".join(f"{build.__module__}.{build.__name__}" for build in same)
        raise AttributeError(f"{package}.{name} is ambiguous: there are {listed}; import the one that is meant")
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(known) or 'none'}"
    raise AttributeError(f"{package} has no class {name!r}; {hint}")


def _builds(hook: str) -> list[type]:
    return [entry.build for entry in entries().values() if entry.kind is KINDS[hook] and isinstance(entry.build, type)]
