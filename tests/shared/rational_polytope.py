"""Polyhedral sets of perturbations in rational numbers, and lower bounds of linear programs over them, without rounding.

A bound is that of multipliers, which a solver in floating point gives; the multipliers are taken as the fractions that they
are, and the bound follows from them by weak duality.
"""

from fractions import Fraction

import attrs
import numpy as np

exact = np.vectorize(Fraction, otypes=[object])
ZERO, ONE = Fraction(0), Fraction(1)


def zeros(*shape):
    return np.full(shape, ZERO, dtype=object)


def unit(size):
    found = zeros(size, size)
    np.fill_diagonal(found, ONE)
    return found


@attrs.frozen(eq=False)
class Polytope:
    """{δ = shifts w : rows w ≤ ends, low ≤ w ≤ high}, and a point w inside; all are arrays of fractions."""

    shifts: np.ndarray
    rows: np.ndarray
    ends: np.ndarray
    low: np.ndarray
    high: np.ndarray
    center: np.ndarray

    @classmethod
    def box(cls, low, high, shifts=None):
        """low ≤ w ≤ high, with δ = w or δ = shifts w."""
        shifts = unit(len(low)) if shifts is None else shifts
        return cls(shifts, zeros(0, len(low)), zeros(0), low, high, (low + high) / 2)

    def holds(self, w):
        return bool((self.low <= w).all() and (w <= self.high).all() and (self.rows @ w <= self.ends).all())

    def inside(self, w):
        """A member near the floating-point numbers w."""
        w = np.minimum(np.maximum(exact(w), self.low), self.high)
        for share in (0, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6):
            near = w + Fraction(share) * (self.center - w)
            if self.holds(near):
                return near
        return self.center


def room(x, low, high, bounds=None):
    """The sides of a box of perturbations within the box of valid inputs."""
    if bounds is None:
        return low, high
    return np.maximum(low, Fraction(bounds[0]) - x), np.minimum(high, Fraction(bounds[1]) - x)


def in_l1_ball(low, high, eps):
    """{low ≤ δ ≤ high, ‖δ‖₁ ≤ eps}: δ is the difference of two numbers ≥ 0."""
    size = len(low)
    both = np.concatenate([high, -low])
    share = Fraction(1, 2) * min(ONE, Fraction(eps) / max(sum(both), Fraction(1, 10**6)))
    rows, ends = np.full((1, 2 * size), ONE, dtype=object), np.array([Fraction(eps)], dtype=object)
    return Polytope(np.concatenate([unit(size), -unit(size)], axis=1), rows, ends, zeros(2 * size), both, share * both)


def moved_mass(x, side, eps):
    """The moves of mass between neighbours in an image of side² pixels, at their distance, for at most eps · Σx in all."""
    moves = [
        (i, j, Fraction(float(np.hypot(i // side - j // side, i % side - j % side))))
        for i in range(side**2)
        for j in range(side**2)
        if i != j and max(abs(i // side - j // side), abs(i % side - j % side)) <= 1
    ]
    shifts, leave = zeros(len(x), len(moves)), zeros(len(x), len(moves))
    for place, (i, j, _) in enumerate(moves):
        shifts[i, place], shifts[j, place], leave[i, place] = -ONE, ONE, ONE
    budget = Fraction(eps) * sum(x)
    rows = np.concatenate([leave, np.array([[cost for *_, cost in moves]], dtype=object)])
    high = np.array([x[i] for i, *_ in moves], dtype=object)
    center = high * min(Fraction(1, 20), budget / (4 * sum(2 * high) + Fraction(1, 10**6)))
    return Polytope(shifts, rows, np.append(x, budget), zeros(len(moves)), high, center)


def lower_bound(weights, constants, polytope, matrix, ends):
    """(bound, w): a bound of the minimum of the largest of the functions weights w + constants, in fractions, and a w.

    The minimum is over the members of the polytope with matrix w ≤ ends. The bound is large where there is no such member.
    """
    from scipy.optimize import linprog

    count, size = len(constants), len(polytope.low)
    rows, limits = np.concatenate([polytope.rows, matrix]), np.concatenate([polytope.ends, ends])
    # what is missed in the rows of the matrix has a price, so that there are always multipliers
    missed = np.zeros((len(limits), len(ends)))
    missed[len(polytope.ends) :] = -np.eye(len(ends))
    top = [np.hstack([w, np.full((k, 1), t), s]) for w, k, t, s in _blocks(weights, rows, count, missed)]
    answer = linprog(
        np.concatenate([np.zeros(size), [1.0], np.full(len(ends), 1e4)]),
        A_ub=np.vstack(top),
        b_ub=np.concatenate([-constants, limits]).astype(float),
        bounds=[*zip(polytope.low.astype(float), polytope.high.astype(float), strict=True), (None, None)]
        + [(0, None)] * len(ends),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    assert answer.status == 0, answer.message
    prices = exact(np.maximum(-answer.ineqlin.marginals, 0))
    return dual_value(weights, constants, polytope, rows, limits, prices), answer.x[:size]


def _blocks(weights, rows, count, missed):
    yield weights.astype(float), count, -1.0, np.zeros((count, missed.shape[1]))
    yield rows.astype(float).reshape(-1, weights.shape[1]), len(rows), 0.0, missed


def dual_value(weights, constants, polytope, rows, limits, prices):
    """The bound that multipliers ≥ 0 of the functions and of the rows give, without rounding."""
    count = len(constants)
    mean, price = prices[:count], prices[count:]
    # the weights of a mean add up to 1
    mean = mean / sum(mean)
    slope = mean @ weights + price @ rows
    return mean @ constants - price @ limits + sum(np.minimum(slope * polytope.low, slope * polytope.high))
