"""Texts of VNN-LIB: a small property with all that version 1 has, and random ones."""

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

TEXT = """\
; two boxes of inputs, and what is unsafe in them
(declare-const X_0 Real)
(declare-fun X_1 () Real)
(declare-const Y_0 Real)
(declare-const Y_1 Real)

(assert (<= X_0 0.75))
(assert (>= X_0 -2.5e-1))
(assert (or (and (>= X_1 0.1) (<= X_1 0.3)) (and (<= 0.5 X_1) (< X_1 0.9))))
(assert (<= (+ X_0 X_1) 1))
(assert (or (<= Y_0 Y_1)
            (and (>= (- (* 2.0 Y_0) Y_1) 3.25) (<= (+ Y_1 (* -0.5 X_0)) 1.5))))
"""

NAMES = ("X_0", "X_1", "Y_0", "Y_1")
NUMBERS = ("name", "decimal", "sum", "difference", "multiple", "quotient")
DECIMALS = st.builds("{}{}.{}".format, st.sampled_from(["", "-"]), st.integers(0, 30), st.integers(0, 99))


def bound(inputs=2, low="-1", high="1"):
    """Declarations and boxes of inputs."""
    lines = [
        f"(declare-const X_{k} Real)\n(assert (>= X_{k} {low}))\n(assert (<= X_{k} {high}))" for k in range(inputs)
    ]
    return "\n".join([*lines, "(declare-const Y_0 Real)", "(declare-const Y_1 Real)"])


@st.composite
def numbers(draw, names=NAMES, depth=2, kinds=NUMBERS):
    """A number as a file may write it, linear in the variables."""
    kind = draw(st.sampled_from(kinds if depth else ("name", "decimal")))
    if kind == "name":
        return draw(st.sampled_from(names))
    if kind == "decimal":
        return draw(DECIMALS)
    parts = draw(st.lists(numbers(names, depth - 1, kinds), min_size=1, max_size=3))
    if kind in ("sum", "difference"):
        return f"({'+' if kind == 'sum' else '-'} {' '.join(parts)})"
    if kind == "quotient":
        return f"(/ {parts[0]} {draw(st.integers(1, 9))})"
    factors = [draw(DECIMALS), parts[0]]
    return f"(* {' '.join(draw(st.permutations(factors)))})"


@st.composite
def formulas(draw, depth=3, words=("and", "or", "not"), kinds=NUMBERS, most=3):
    """A statement as a file may write it, with at most so many numbers in a comparison."""
    kind = draw(st.sampled_from(("compare", "compare", *words))) if depth else "compare"
    if kind == "compare":
        relation = draw(st.sampled_from(["<=", ">=", "<", ">", "="]))
        return f"({relation} {' '.join(draw(st.lists(numbers(kinds=kinds), min_size=2, max_size=most)))})"
    if kind == "not":
        return f"(not {draw(formulas(depth - 1, words, kinds, most))})"
    parts = draw(st.lists(formulas(depth - 1, words, kinds, most), min_size=1, max_size=3))
    return f"({kind} {' '.join(parts)})"


def points(query, count, seed=0):
    """Inputs and outputs near the boxes of a query: corners, points inside and outside, small whole numbers as outputs."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        case = query.cases[rng.integers(len(query.cases))]
        shares = [Fraction(int(part), 4) for part in rng.integers(-1, 6, len(case.lower))]
        x = [low + share * (high - low) for low, high, share in zip(case.lower, case.upper, shares, strict=True)]
        yield x, [Fraction(int(part), 4) for part in rng.integers(-20, 20, query.outputs)]


def covered(query, x, y):
    """True where one of the cases of the query says that inputs and outputs are unsafe."""
    return any(
        all(low <= v <= high for low, v, high in zip(case.lower, x, case.upper, strict=True))
        and any(all(atom.at(x, y) for atom in way) for way in case.unsafe)
        for case in query.cases
    )


def on_a_side(query, x):
    """True where an input is a side of one of the boxes; there a strict bound differs from a closed one."""
    return any(v in (low, high) for case in query.cases for low, v, high in zip(case.lower, x, case.upper, strict=True))
