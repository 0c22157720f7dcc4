"""Decimal numbers in a file as fractions, and the nearest floating-point numbers on either side of a fraction."""

import re
from fractions import Fraction
from typing import Any

import numpy as np
import torch

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
    near = _nearest(value, dtype)
    if Fraction(float(near)) <= value:
        return float(near)
    with np.errstate(over="ignore"):
        return float(np.nextafter(near, near.dtype.type(-np.inf)))


def at_least(value: Fraction, dtype: torch.dtype) -> float:
    """The least number of ``dtype`` (float32, float64) that is not below ``value``; inf above its range."""
    return -at_most(-value, dtype)


def _nearest(value: Fraction, dtype: torch.dtype) -> "np.floating[Any]":
    """A finite number of the type next to the value: none lies between the two."""
    kind = _NUMPY[dtype]
    most = Fraction(float(np.finfo(kind).max))
    return kind(float(min(max(-most, value), most)))
