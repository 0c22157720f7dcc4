"""Floating-point numbers on either side of an exact one."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from exact_fractions import laws
from hypothesis import given
from hypothesis import strategies as st

from inradius.verification.vnnlib.numbers import at_most, neighbours, number

KINDS = {torch.float32: np.float32, torch.float64: np.float64}
VALUES = st.one_of(
    st.fractions(),
    st.builds(lambda a, b: Fraction(a) * Fraction(2) ** b, st.fractions(-3, 3), st.integers(-1200, 1100)),
    st.floats(allow_nan=False, allow_infinity=False).map(Fraction),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(Fraction),
)


@pytest.mark.parametrize("dtype", KINDS)
@laws(150)
@given(value=VALUES)
def test_no_number_of_the_type_lies_between(dtype, value):
    below, above = (float(side) for side in neighbours([value], dtype))
    assert at_most(value, dtype) == below
    for side, sign in ((below, 1), (above, -1)):
        assert math.isinf(side) or Fraction(side) * sign <= value * sign
        with np.errstate(all="ignore"):
            beyond = float(np.nextafter(KINDS[dtype](side), KINDS[dtype](sign * np.inf)))
        assert float(KINDS[dtype](side)) == side
        assert math.isinf(beyond) or Fraction(beyond) * sign > value * sign


@laws(60)
@given(st.from_regex(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,2})?", fullmatch=True))
def test_a_decimal_is_read_exactly(word):
    assert number(word) == Fraction(word if word.isascii() else "0")
