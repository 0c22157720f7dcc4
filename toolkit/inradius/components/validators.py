"""attrs validators and converters for the fields of components; each error is one sentence."""

import sys
from collections.abc import Callable
from typing import Any, TypeGuard

import attrs


def _is_number(value: object) -> TypeGuard[int | float]:
    # an integer may be too large for a float
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def as_float(value: object) -> object:
    """An integer as a float, so that equal values have equal specs; anything else as it is, for the validator."""
    return float(value) if isinstance(value, int) and _is_number(value) else value


def as_floats(value: object) -> object:
    """A list or tuple as a tuple, its integers as floats; anything else as it is."""
    return tuple(as_float(entry) for entry in value) if isinstance(value, tuple | list) else value


def radius(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts a finite number ≥ 0."""
    if not _is_number(value) or value < 0:
        raise ValueError(f"{field.name}={value!r} is not a radius; allowed is a finite number ≥ 0")


def positive(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts a finite number > 0."""
    if not _is_number(value) or value <= 0:
        raise ValueError(f"{field.name}={value!r} is not allowed; allowed is a finite number > 0")


def weight(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts a finite number ≥ 0."""
    if not _is_number(value) or value < 0:
        raise ValueError(f"{field.name}={value!r} is not allowed; allowed is a finite number ≥ 0")


def count(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts an integer ≥ 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{field.name}={value!r} is not allowed; allowed is an integer ≥ 1")


def integer(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts an integer ≥ 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{field.name}={value!r} is not allowed; allowed is an integer ≥ 0")


def share(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts a number in [0, 1]."""
    if not _is_number(value) or not 0 <= value <= 1:
        raise ValueError(f"{field.name}={value!r} is not allowed; allowed is a number between 0 and 1")


def flag(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts True and False."""
    if not isinstance(value, bool):
        raise ValueError(f"{field.name}={value!r} is not allowed; allowed are True and False")


def box(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts None or a pair (low, high) of numbers with low < high."""
    if value is None:
        return
    pair = value if isinstance(value, tuple) and len(value) == 2 else (0, 0)
    if not all(_is_number(v) for v in pair) or pair[0] >= pair[1]:
        raise ValueError(f"{field.name}={value!r} is not a box; allowed is a pair (low, high) with low < high, or None")


def component(kind: type) -> Callable[[Any, "attrs.Attribute[Any]", object], None]:
    """Accepts a component of one kind, such as ``component(Objective)``."""

    def check(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
        if not isinstance(value, kind):
            raise ValueError(
                f"{field.name}={value!r} has the wrong kind; allowed is a component of kind {kind.__name__}"
            )

    return check
