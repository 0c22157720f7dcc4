"""Properties are read as a second reader reads them, also damaged ones, and what is not read is refused in a sentence."""

import gzip
import lzma
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from exact_fractions import laws
from hypothesis import assume, given
from vnnlib_cases import TEXT, bound, formulas
from vnnlib_reference import agree, refusal

from inradius import InputError, UnsupportedError
from inradius.errors import InradiusError
from inradius.verification.vnnlib import files, normal_form
from inradius.verification.vnnlib.formulas import holds, negated
from inradius.verification.vnnlib.query import Query, read_query
from inradius.verification.vnnlib.version1 import statement_of


def sentence(error):
    """The message of an error, which must be one sentence on one line."""
    told = str(error.value)
    assert "\n" not in told
    assert "allowed" in told
    return told


def test_a_small_property():
    query = agree(TEXT, 300)
    assert [(case.lower, case.upper) for case in query.cases] == [
        ((Fraction(-1, 4), Fraction(1, 10)), (Fraction(3, 4), Fraction(3, 10))),
        ((Fraction(-1, 4), Fraction(1, 2)), (Fraction(3, 4), Fraction(9, 10))),
    ]
    assert [[len(way) for way in case.unsafe] for case in query.cases] == [[2, 3], [2, 3]]


@laws(60)
@given(formulas())
def test_random_properties_are_those_of_the_second_reader(formula):
    try:
        agree(f"{bound()}\n(assert {formula})", 12)
    except InputError as error:
        assume("no input meets" not in str(error))
        raise


@laws(40)
@given(formulas())
def test_a_negated_formula_holds_where_the_formula_does_not(formula):
    statement = statement_of(f"{bound()}\n(assert {formula})").formula
    for numbers in product([Fraction(-1), Fraction(0), Fraction(1, 3)], repeat=4):
        x, y = numbers[:2], numbers[2:]
        assert holds(negated(statement), x, y) != holds(statement, x, y)


@pytest.mark.parametrize("part", range(4))
def test_a_damaged_byte_is_refused_or_read_as_by_the_second_reader(part, tmp_path):
    rng, path = np.random.default_rng(part), tmp_path / "prop.vnnlib"
    read = 0
    for number in range(250):
        content = bytearray(TEXT.encode())
        content[rng.integers(len(content))] = (
            rng.integers(256) if number % 2 else rng.choice(list(b'()<>=;. +-*XY0159ae\n"|'))
        )
        path.write_bytes(content)
        if refusal(path) is None:
            agree(content.decode(), 8, number)
            read += 1
    assert read > 20


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_damaged_archives_are_refused_or_hold_the_same(suffix, tmp_path):
    packed = (gzip.compress if suffix == ".gz" else lzma.compress)(TEXT.encode())
    rng, path = np.random.default_rng(0), tmp_path / f"prop.vnnlib{suffix}"
    path.write_bytes(packed)
    whole = read_query(path)
    for _ in range(60):
        damaged = bytearray(packed)
        damaged[rng.integers(len(packed))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged if rng.random() < 0.8 else damaged[: rng.integers(len(packed))])
        if refusal(path) is None:
            assert read_query(path).formula == whole.formula


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["plain", "gz", "xz"])
def test_what_unpacks_to_too_much_is_refused(pack, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LIMIT", 1 << 20)
    path = tmp_path / {bytes: "a", gzip.compress: "a.gz", lzma.compress: "a.xz"}[pack]
    path.write_bytes(pack(b" " * (1 << 20)))
    with pytest.raises(InputError, match="no assertion"):
        read_query(path)
    path.write_bytes(pack(b" " * ((1 << 20) + 1)))
    with pytest.raises(InputError, match="more than 1 MiB"):
        read_query(path)


def test_more_cases_than_the_limit_are_refused(monkeypatch):
    monkeypatch.setattr(normal_form, "LIMIT", 8)
    either = "(assert (or (<= Y_0 0) (<= Y_1 0)))\n"
    assert len(agree(f"{bound()}\n{either * 3}").cases[0].unsafe) == 8
    with pytest.raises(UnsupportedError, match="more than 8 cases"):
        Query.of(statement_of(f"{bound()}\n{either * 4}"))


@pytest.mark.parametrize(
    ("added", "told"),
    [
        ("(assert (>= X_0 2))", "no input meets"),
        ("(assert (or (>= X_0 2) (< X_1 -1)))", "no input meets"),
        ("(assert (< X_0 -1))", "no input meets"),
        ("(assert (<= 1 0))", "no input meets"),
        ("(declare-const X_2 Real) (assert (<= X_2 1))", "X_2 has no lower bound"),
        ("(declare-const X_3 Real)", "without X_2"),
        ("(declare-const X_0 Real)", "declared twice"),
        ("(declare-const X_2 Int)", "Int"),
        ("(declare-const Z_0 Real)", "'Z_0'"),
        ("(assert (<= Y_2 1))", "Y_2 is not declared"),
        ("(assert (<= (* Y_0 Y_1) 1))", "multiplies variables"),
        ("(assert (<= (/ 1 Y_1) 1))", "divides by a variable"),
        ("(assert (=> (<= Y_0 1) (<= Y_1 1)))", "no statement"),
        ("(assert (<= (max Y_0 Y_1) 1))", "no number"),
        ("(assert (<= Y_0))", "no statement"),
        ("(assert (and))", "no statement"),
        ("(assert (<= Y_0 1e99999))", "too long"),
        (f"(assert (<= Y_0 {'1' * 2000}))", "too long"),
        ("(assert (<= Y_0 0x10))", "decimal"),
        ("(assert (<= Y_0 nan))", "decimal"),
        ("(assert (<= Y_0 1_0))", "decimal"),
        ("(push 1)", "no command"),
        ("(push |1\n2|)", "(push |1 2|) is no command"),
        ("(declare-const X_2 |\n|)", "declared as | |"),
        ("(assert (<= Y_0 1)", "no end"),
        (")", "outside of a command"),
        ("assert", "outside of a command"),
        (f"(assert {'(not ' * 200}(<= Y_0 1){')' * 200})", "nested deeper"),
        ('(set-info "', "no part of a property"),
    ],
)
def test_what_is_not_read_is_refused_in_a_sentence(added, told, tmp_path):
    path = tmp_path / "prop.vnnlib"
    path.write_text(f"{bound()}\n{added}")
    with pytest.raises(InradiusError) as error:
        read_query(path)
    assert told in sentence(error)
    assert str(path) in str(error.value)


def test_a_file_that_is_missing_or_no_text_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_query(tmp_path / "missing.vnnlib")
    with pytest.raises(InputError, match="cannot be read"):
        read_query(tmp_path)
    (tmp_path / "binary.vnnlib").write_bytes(b"\n\xff\xfe")
    with pytest.raises(InputError, match="not text in line 2"):
        read_query(tmp_path / "binary.vnnlib")


def test_bounds_of_equal_boxes_are_one_case():
    ways = " ".join(f"(and (>= X_0 0) (<= X_0 0.5) (>= Y_0 {k}))" for k in range(5))
    other = "(and (>= X_0 0.25) (>= Y_1 7))"
    query = agree(f"{bound()}\n(assert (or {ways} {other}))", 100)
    assert [len(case.unsafe) for case in query.cases] == [5, 1]
