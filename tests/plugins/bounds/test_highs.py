"""HiGHS for one cost after the other, compared with programs that are solved anew."""

import math
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inradius_bounds.solvers.highs_solver import HighsSolver, SearchTarget
from inradius_bounds.solvers.polytope import Polytope

pytestmark = pytest.mark.skipif(find_spec("highspy") is None, reason="these are tests of it")
SETTINGS = settings(max_examples=12, deadline=None, derandomize=True)


def polytope(seed, size=7, rows=6):
    """A random polytope around a point of whole numbers. One column has a single value, which presolve removes."""
    from scipy import sparse

    rng = np.random.default_rng(seed)
    matrix, inside = rng.normal(size=(rows, size)), rng.integers(-1, 2, size).astype(float)
    lower, upper = np.full(size, -2.0), np.full(size, 2.0)
    lower[0] = upper[0] = inside[0]
    middle = matrix @ inside
    low, high = middle - rng.uniform(0, 2, rows), middle + rng.uniform(0, 2, rows)
    return Polytope(sparse.csc_array(matrix), low, high, lower, upper, np.arange(size))


def costs(seed, count=4, size=7):
    return np.random.default_rng(seed + 1).normal(size=(count, size))


def by_scipy(found, cost, whole):
    """The minimum, from scipy's own call of a solver."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    integral = np.isin(np.arange(len(cost)), whole).astype(int)
    rows = LinearConstraint(found.matrix, found.row_lower, found.row_upper)
    solved = milp(cost, constraints=rows, bounds=Bounds(found.lower, found.upper), integrality=integral)
    return float(solved.fun)


def all_columns(size=7):
    return np.arange(size)


@SETTINGS
@given(seed=st.integers(0, 10**6), whole=st.sampled_from([(), (0, 1, 2, 3)]))
def test_each_cost_has_the_minimum_that_it_has_alone(seed, whole):
    found = polytope(seed)
    solver = HighsSolver(found, whole)
    for cost in costs(seed):
        best = solver.minimise(all_columns(), cost)
        assert best.failure == ""
        assert best.value == pytest.approx(by_scipy(found, cost, whole), abs=1e-6)
        if whole:
            assert best.bound == pytest.approx(best.value, abs=1e-3 * (1 + abs(best.value)))


@SETTINGS
@given(seed=st.integers(0, 10**6), ends=st.tuples(st.floats(-3, 3), st.floats(0, 2)), among=st.booleans())
def test_a_sign_is_found_and_the_bound_holds(seed, ends, among):
    """A minimum above ``proved`` has a bound above it, and one below ``refuted`` a value below it."""
    found, whole = polytope(seed), (0, 1, 2, 3, 4, 5)
    solver = HighsSolver(found, whole)
    for cost in costs(seed):
        least = by_scipy(found, cost, whole)
        sign = SearchTarget(ends[0] + ends[1] + (least if among else 0), ends[0] + (least if among else 0))
        best = solver.minimise(all_columns(), cost, sign)
        assert best.bound <= least + 1e-6
        assert best.value >= least - 1e-6
        if least > sign.proved + 1e-5:
            assert best.bound > sign.proved
        if least < sign.refuted - 1e-5:
            assert best.value < sign.refuted
        # the next cost is solved as if there had been no target
        again = solver.minimise(all_columns(), cost)
        assert again.value == pytest.approx(least, abs=1e-6)


def test_a_sign_ends_a_search_before_its_optimum():
    found, whole = polytope(3, size=14), tuple(range(1, 14))
    solver = HighsSolver(found, whole)
    (cost,) = costs(3, 1, 14)
    least = solver.minimise(all_columns(14), cost).value
    below = solver.minimise(all_columns(14), cost, SearchTarget(least - 5, least - 6))
    above = solver.minimise(all_columns(14), cost, SearchTarget(least + 6, least + 5))
    assert least - 5 < below.bound < least - 1e-3
    assert least + 1e-3 < above.value < least + 5


def test_less_moves_both_ends():
    assert SearchTarget(3.0, 1.0).less(2.0) == SearchTarget(1.0, -1.0)


@pytest.mark.parametrize("whole", [(), (1, 2)])
@pytest.mark.parametrize("times", [1, 2])
def test_what_fails_is_tried_again_without_presolve(whole, times, monkeypatch):
    found, seen = polytope(5), []
    run = HighsSolver._run

    def fails_at_first(solver, shift):
        seen.append(solver._highs.getOptionValue("presolve")[1])
        return solver._none("HiGHS ended with kInfeasible") if len(seen) <= times else run(solver, shift)

    monkeypatch.setattr(HighsSolver, "_run", fails_at_first)
    solver = HighsSolver(found, whole)
    first, second = (solver.minimise(all_columns(), cost) for cost in costs(5, 2))
    expected = [by_scipy(found, cost, whole) for cost in costs(5, 2)]
    assert (first.failure == "") == (times == 1)
    assert math.isnan(first.value) if times == 2 else first.value == pytest.approx(expected[0], abs=1e-6)
    assert second.value == pytest.approx(expected[1], abs=1e-6)
    assert seen == ["choose", *["off"] * 2]


@pytest.mark.parametrize("whole", [(), (1, 2)])
@pytest.mark.parametrize(
    ("rows", "side", "status"), [((3.0, 2.0), 1.0, "Infeasible"), ((-np.inf, np.inf), np.inf, "nbounded")]
)
def test_an_empty_polytope_and_one_without_a_minimum_are_failures(whole, rows, side, status):
    found = polytope(6)
    low, high = (np.full(6, end) for end in rows)
    wrong = Polytope(found.matrix, low, high, np.full(7, -side), np.full(7, side), found.delta)
    best = HighsSolver(wrong, whole).minimise(all_columns(), costs(6, 1)[0])
    assert status in best.failure
    assert math.isnan(best.value)
    assert best.bound == -math.inf
