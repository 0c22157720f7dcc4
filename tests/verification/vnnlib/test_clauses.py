"""The property that is proved implies that nothing unsafe holds, and says no more than rounding makes it."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from exact_fractions import laws
from hypothesis import assume, given
from hypothesis import strategies as st
from vnnlib_cases import bound, formulas

from inradius import InputError, UnsupportedError
from inradius.verification.vnnlib.clauses import safe_property, uses_inputs
from inradius.verification.vnnlib.query import Query
from inradius.verification.vnnlib.version1 import statement_of


def held(prop, numbers):
    """True where every clause has a row above 0, in exact arithmetic."""
    rows = [
        sum(Fraction(w) * v for w, v in zip(weights, numbers, strict=True)) + Fraction(offset) > 0
        for weights, offset in zip(prop.weights[0].tolist(), prop.offsets[0].tolist(), strict=True)
    ]
    clauses = torch.eye(len(rows), dtype=torch.bool) if prop.clauses is None else prop.clauses
    return all(any(rows[k] for k in clause.nonzero().flatten().tolist()) for clause in clauses)


@laws(80)
@given(formula=formulas(), seed=st.integers(0, 999))
def test_the_property_implies_safety_and_is_near_it(formula, seed):
    try:
        query = Query.of(statement_of(f"{bound()}\n(assert {formula})"))
    except InputError:
        assume(False)
    rng = np.random.default_rng(seed)
    for case in query.cases:
        try:
            prop = safe_property(case.unsafe, 2, 2, torch.float32)
        except UnsupportedError:
            assume(False)
        assert torch.equal(prop.weights, prop.weights.float().double())
        for _ in range(20):
            x, y = ([Fraction(int(k), 2) for k in rng.integers(-6, 7, 2)] for _ in range(2))
            safe = not any(all(atom.at(x, y) for atom in way) for way in case.unsafe)
            apart = all(abs(atom.number.at(x, y)) > Fraction(1, 10**9) for way in case.unsafe for atom in way)
            numbers = [*y, *x] if uses_inputs(case.unsafe) else y
            assert safe or not held(prop, numbers)
            assert held(prop, numbers) or not safe or not apart


def test_weights_that_no_factor_makes_exact_are_refused():
    text = f"{bound()}\n(assert (<= (+ (* 0.1 Y_0) (* 123456789.123 Y_1)) 0))"
    (case,) = Query.of(statement_of(text)).cases
    with pytest.raises(UnsupportedError, match=r"weights 0\.1, 1\.23457e\+08"):
        safe_property(case.unsafe, 2, 2, torch.float32)
    assert safe_property(case.unsafe, 2, 2, torch.float64).weights[0, 0].tolist() == [100, 123456789123]


@pytest.mark.parametrize(
    "comparison", ["(<= Y_0 {})", "(>= Y_0 {})", "(<= (* {} Y_0) Y_1)", "(<= (+ (* {} Y_0) X_0) {})"]
)
@pytest.mark.parametrize(
    "number", ["1e39", "-1e39", "3.4e38", "-3.4e38", "1e60", "-1e60", "1e400", "-1e400", "-1e-400"]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_beyond_the_range_of_the_type_are_met_or_refused(comparison, number, dtype):
    (case,) = Query.of(statement_of(f"{bound()}\n(assert {comparison.format(number, number)})")).cases
    try:
        prop = safe_property(case.unsafe, 2, 2, dtype)
    except UnsupportedError:
        return
    assert bool(prop.to(dtype).offsets.isfinite().all())
    for numbers in ((0, 0), (1, -1), (-5, 3)):
        y = [Fraction(n) for n in numbers]
        safe = not any(all(atom.at([Fraction(1), Fraction(0)], y) for atom in way) for way in case.unsafe)
        assert safe or not held(prop, [*y, Fraction(1), Fraction(0)][: prop.weights.shape[2]])


def test_thresholds_that_no_output_reaches_are_kept():
    for number in ("1e39", "1e70"):
        (case,) = Query.of(statement_of(f"{bound()}\n(assert (<= Y_0 -{number}))")).cases
        assert held(safe_property(case.unsafe, 2, 2, torch.float32), [Fraction(-(10**30)), Fraction(0)])
        (case,) = Query.of(statement_of(f"{bound()}\n(assert (<= Y_0 {number}))")).cases
        assert not held(safe_property(case.unsafe, 2, 2, torch.float32), [Fraction(10) ** 30, Fraction(0)])


def test_a_scaled_comparison_keeps_its_sign():
    text = f"{bound()}\n(assert (<= (+ (* 0.1 Y_0) (* 0.3 Y_1)) 0.7))"
    (case,) = Query.of(statement_of(text)).cases
    prop = safe_property(case.unsafe, 2, 2, torch.float32)
    assert prop.weights[0, 0].tolist() == [1, 3]
    assert prop.offsets.tolist() == [[-7]]
    assert prop.clauses is None
