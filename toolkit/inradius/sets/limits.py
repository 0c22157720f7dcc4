"""The box of valid inputs as a spec gives it: a number, a list or a file for either side."""

from typing import Any

import attrs
import torch

from inradius.sets.arithmetic.sides import Box, Side, together
from inradius.sets.numbers import Numbers, as_numbers, load, numbers

Limits = tuple[Numbers, Numbers] | None

_ALLOWED = (
    "allowed is a pair (low, high) with low < high, each side a number, a list with one for each channel or feature, "
    "or the name of a .npy file; or None"
)


def as_limits(value: object) -> object:
    """A pair with its sides as numbers, tuples and references of files; anything else as it is, for the validator."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        return value
    return tuple(as_numbers(side) for side in value)


def limits(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts None or a pair (low, high) with low < high, of numbers, tuples and references of files."""
    if value is None:
        return
    if not isinstance(value, tuple) or len(value) != 2:
        raise ValueError(f"{field.alias}={value!r} is not a box; {_ALLOWED}")
    try:
        for side in value:
            numbers(None, field, side)
        good = _ordered(value)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{field.alias}={value!r} is not a box; {_ALLOWED}") from error
    if not good:
        raise ValueError(f"{field.alias}={value!r} is not a box; {_ALLOWED}")


def _ordered(value: Limits) -> bool:
    low, high = box_of(value) or (0.0, 1.0)
    low, high = together([low, high])
    return bool(torch.as_tensor(low < high).all())


def box_of(value: Limits) -> Box:
    """The box with numbers for sides that are numbers, and float64 tensors for lists and files."""
    return None if value is None else (_side(value[0]), _side(value[1]))


def _side(value: Numbers) -> Side:
    if isinstance(value, str):
        return load(value)
    return torch.tensor(value, dtype=torch.float64) if isinstance(value, tuple) else value
