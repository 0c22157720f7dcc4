"""VNN-LIB 2 says what the same property says in version 1, and what is not read is refused in a sentence."""

import re
from fractions import Fraction

import numpy as np
import pytest
from exact_fractions import laws
from hypothesis import assume, given
from vnnlib_cases import bound, formulas, points

from inradius import InputError, UnsupportedError
from inradius.errors import InradiusError
from inradius.verification.vnnlib import version1, version2
from inradius.verification.vnnlib.query import Query, read_query

pytest.importorskip("vnnlib")

HEAD = "(vnnlib-version <2.0>)\n(declare-network f (declare-input X float32 [1,2]) (declare-output Y float32 [2]))\n"


def second(text):
    """The statement of version 1 in the words of version 2."""
    text = re.sub(r"X_(\d)", r"X[0,\1]", re.sub(r"Y_(\d)", r"Y[\1]", text))
    return text.replace("(= ", "(== ")


@laws(60)
@given(formulas(words=("and", "or"), kinds=("name", "decimal", "sum", "difference", "multiple"), most=2))
def test_both_versions_of_a_property_are_one(formula):
    sides = re.sub(r"\(declare[^\n]*\n?", "", bound(low="-1.0", high="1.0"))
    try:
        new = Query.of(version2.statement_of(f"{HEAD}{second(sides)}(assert {second(formula)})"))
        old = Query.of(version1.statement_of(f"{bound()}\n(assert {formula})"))
    except InputError as error:
        # the package types comparisons of numbers alone, and refuses some
        assume("no input meets" not in str(error) and "not VNN-LIB 2" not in str(error))
        raise
    assert [(case.lower, case.upper) for case in new.cases] == [(case.lower, case.upper) for case in old.cases]
    for x, y in points(old, 12):
        assert new.holds(x, y) == old.holds(x, y)


def test_tensors_are_flattened_one_after_the_other():
    text = """(vnnlib-version <2.0>)
    (declare-network f (declare-input A float32 [2,2]) (declare-input B float32 []) (declare-output Y Real [1,2]))
    (assert (and (>= A[0,0] 0.0) (<= A[0,0] 1.0) (>= A[0,1] 0.0) (<= A[0,1] 2.0) (>= A[1,0] 0.0) (<= A[1,0] 3.0)))
    (assert (and (>= A[1,1] 0.0) (<= A[1,1] 4.0) (>= B 0.0) (< B 0.1)))
    (assert (!= Y[0,1] 2.0))"""
    query = Query.of(version2.statement_of(text))
    assert (query.inputs, query.outputs) == (5, 2)
    assert query.cases[0].upper == (1, 2, 3, 4, Fraction(1, 10))
    assert not query.holds([Fraction(0)] * 5, [Fraction(7), Fraction(2)])
    assert query.holds([Fraction(0)] * 5, [Fraction(2), Fraction(7)])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            HEAD.replace(
                "float32 [2]))",
                "float32 [2])) (declare-network g (declare-input Z float32 [1]) (declare-output W float32 [1]))",
            )
            + "(assert (<= Y[0] 1.0))",
            "2 networks",
        ),
        (HEAD.replace("(declare-output", '(declare-hidden H float32 [2] "h") (declare-output'), "hidden"),
        (HEAD.replace("X float32", "X int8").replace("Y float32", "Y int8") + "(assert (<= Y[0] 1))", "I8"),
        (HEAD + "(assert (<= Y[0] (* X[0,0] X[0,1])))", "multiplies variables"),
        (HEAD + "(assert (<= Y[0] 1.0))", "X_0 has no lower bound"),
        (HEAD.replace("[1,2]", "[99999999,99999999]") + "(assert (<= Y[0] 1.0))", "X_0 has no lower bound"),
        (HEAD + "(assert (<= Y[0] 1.0)", "no end"),
        (HEAD + "(assert (<= Y[5] 1.0))", "not VNN-LIB 2"),
        (HEAD + "(assert (<= Z[0] 1.0))", "not VNN-LIB 2"),
        (HEAD.replace("[2]", "[99999999999999999999]"), "not VNN-LIB 2"),
        (HEAD + f"(assert {'(and ' * 5000}(<= Y[0] 1.0){')' * 5000})", "nested deeper"),
    ],
)
def test_what_is_not_read_is_refused_in_a_sentence(text, told, tmp_path):
    path = tmp_path / "prop.vnnlib"
    path.write_text(text if "assert" in text else f"{text}(assert (<= Y[0] 1.0))")
    with pytest.raises((InputError, UnsupportedError)) as error:
        read_query(path)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_damaged_bytes_are_refused_in_a_sentence_or_read(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "prop.vnnlib"
    sides = "".join(f"(assert (and (>= X[0,{k}] 0.0) (<= X[0,{k}] 1.0)))\n" for k in range(2))
    text = f"{HEAD}{sides}(assert (or (<= Y[0] Y[1]) (and (>= Y[0] 1.5) (< Y[1] (* 2.0 Y[0])))))"
    read = 0
    for _ in range(400):
        content = bytearray(text.encode())
        content[rng.integers(len(content))] = rng.choice(list(b'()<>=;. +-*XY0159ae\n"|[],'))
        path.write_bytes(content)
        try:
            read_query(path)
            read += 1
        except InradiusError as error:
            told = str(error)
            assert "\n" not in told, told
    assert read > 5
