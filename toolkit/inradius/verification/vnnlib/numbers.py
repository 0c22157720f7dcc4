"""Decimal numbers in a file as fractions, and the nearest floating-point numbers on either side of a fraction."""

import re
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inradius.errors import InputError

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE](?P<power>[+-]?[0-9]{1,5}))?")
# longer numbers would take long to compute with, and no file has a use for them
_DIGITS, _POWER = 1000, 1000

_NUMPY: "dict[torch.dtype, type[np.floating[Any]]]" = {torch.float32: np.float32, torch.float64: np.float64}


def number(word: str) -> Fraction:
    """The decimal number that a word states, exactly. Raises ``InputError`` for any other word."""
    found = _DECIMAL.fullmatch(word)
    if found is None:
        raise InputError(
            f"{word[:40]!r} is neither a declared name nor a decimal number; allowed are those, as in -1.5e-3"
        )
    if len(word) > _DIGITS or abs(int(found["power"] or 0)) > _POWER:
        raise InputError(
            f"the number {word[:40]} is too long; allowed are {_DIGITS} digits and powers of 10 up to {_POWER}"
        )
    return Fraction(word)


def at_most(value: Fraction, dtype: torch.dtype) -> float:
    """The largest number of ``dtype`` (float32, float64) that is not above ``value``; −inf below its range."""
    return float(neighbours([value], dtype)[0][0])


def neighbours(values: Sequence[Fraction], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """For each value the largest number of ``dtype`` (float32, float64) not above it, and the least not below it, two of (n,).

    Beyond the range of the type they are infinite.
    """
    kind = _NUMPY[dtype]
    most = np.finfo(kind).max
    # rounded twice for float32, so it may not be the nearest, but no number lies between it and the value
    near = np.array([_double(value) for value in values]).clip(-float(most), float(most)).astype(kind)
    sides = np.array([_compared(float(n), value) for n, value in zip(near, values, strict=True)], dtype=np.int8)
    with np.errstate(all="ignore"):
        below = np.where(sides <= 0, near, np.nextafter(near, kind(-np.inf)))
        above = np.where(sides >= 0, near, np.nextafter(near, kind(np.inf)))
    return torch.from_numpy(below), torch.from_numpy(above)


def _double(value: Fraction) -> float:
    """The value in float64, the largest number of its sign where it is beyond the range."""
    try:
        return float(value)
    except OverflowError:
        return sys.float_info.max if value > 0 else -sys.float_info.max


def _compared(number: float, value: Fraction) -> int:
    """The sign of number − value, exactly."""
    top, bottom = number.as_integer_ratio()
    difference = top * value.denominator - value.numerator * bottom
    return (difference > 0) - (difference < 0)
