"""Parameters that are handed to another library, as values that a spec can spell."""

import math
from collections.abc import Mapping
from typing import Any

import attrs

_OWN = ("attack", "options", "one_by_one", "seed")


def as_pairs(options: object) -> object:
    """Options in the order of their names, lists as tuples, so that equal ones are equal."""
    if not isinstance(options, tuple | list | Mapping):
        return options
    pairs = options.items() if isinstance(options, Mapping) else options
    return tuple(sorted((str(name), _frozen(value)) for name, value in pairs))


def _frozen(value: object) -> object:
    return tuple(_frozen(item) for item in value) if isinstance(value, tuple | list) else value


def are_options(instance: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts pairs of a name and a value that a spec can spell, but none that the set decides."""
    if not isinstance(value, tuple):
        raise ValueError(f"{field.name}={value!r} is not allowed; allowed are pairs of a name and a value")
    for name, given in value:
        if name in instance.from_set:
            raise ValueError(f"{name} is given, but it comes from the set that is attacked")
        if not name.isidentifier() or name in _OWN or not _is_value(given):
            raise ValueError(
                f"{name}={given!r} is no option; allowed are names with numbers, strings, tuples, True, False and None"
            )


def _is_value(value: object) -> bool:
    if isinstance(value, tuple):
        return all(_is_value(item) for item in value)
    return value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def is_name(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts the name of a class."""
    if not isinstance(value, str) or not value.isidentifier():
        raise ValueError(f"{field.name}={value!r} is no name of an attack; allowed is that of its class, as a string")
