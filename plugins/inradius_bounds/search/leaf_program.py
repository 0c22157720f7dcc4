"""The linear program of a leaf, over means of points or over a box."""

from collections.abc import Sequence

import attrs
import numpy as np


@attrs.frozen(eq=False)
class AffineDomain:
    """A clause and the limits over a domain as affine functions of δ (n numbers).

    rows (M, n), constants (M,): the rows of the clause. limits (L, n), room (L,): limits · δ + room ≥ 0 in the domain.
    """

    rows: np.ndarray
    constants: np.ndarray
    limits: np.ndarray
    room: np.ndarray

    @property
    def finite(self) -> bool:
        """True where all numbers are finite."""
        return all(bool(np.isfinite(each).all()) for each in (self.rows, self.constants, self.limits, self.room))


@attrs.frozen(eq=False)
class ProgramAnswer:
    """The optimum of a program: its value, δ (n,), the multipliers of rows (M,) and limits (L,), and the sum of violations."""

    value: float
    delta: np.ndarray
    weights: np.ndarray
    prices: np.ndarray
    missed: float

    def row(self, domain: AffineDomain) -> np.ndarray:
        """The linear function of δ that the multipliers make, (n,)."""
        found: np.ndarray = self.weights @ domain.rows - self.prices @ domain.limits
        return found

    def low(self, domain: AffineDomain, column: np.ndarray) -> float:
        """The Lagrangian bound of the multipliers, where ``column`` (n,) minimises their linear function over the set."""
        constant = self.weights @ domain.constants - self.prices @ domain.room
        return float(self.row(domain) @ column + constant)


@attrs.frozen(eq=False)
class MixedPoints:
    """The means of J points of a set, (J, n)."""

    points: np.ndarray

    def program(self, domain: AffineDomain, price: float) -> ProgramAnswer:
        """The mean at which the clause's largest row plus ``price`` times the violations of the limits is smallest."""
        count = len(self.points)
        sides = [(0.0, None)] * count
        whole = np.ones((1, count))
        found = _solved(domain.rows @ self.points.T, domain.limits @ self.points.T, domain, price, sides, whole)
        shares = np.maximum(found.delta, 0)
        shares = shares / shares.sum() if shares.sum() > 0 else np.full(count, 1 / count)
        return attrs.evolve(found, delta=shares @ self.points)


@attrs.frozen(eq=False)
class BoxPoints:
    """The points between ``low`` and ``high``, (n,) each."""

    lowest: np.ndarray
    highest: np.ndarray

    def program(self, domain: AffineDomain, price: float) -> ProgramAnswer:
        """The point at which the clause's largest row plus ``price`` times the violations of the limits is smallest."""
        sides = list(zip(self.lowest.tolist(), self.highest.tolist(), strict=True))
        found = _solved(domain.rows, domain.limits, domain, price, sides, None)
        return attrs.evolve(found, delta=np.clip(found.delta, self.lowest, self.highest))


def _solved(
    rows: np.ndarray,
    limits: np.ndarray,
    domain: AffineDomain,
    price: float,
    sides: Sequence[tuple[float, float | None]],
    whole: np.ndarray | None,
) -> ProgramAnswer:
    """The program over variables v with sides: minimise t + price · Σ s with t ≥ rows · v + c, limits · v + room + s ≥ 0, s ≥ 0.

    whole: a row of coefficients whose product with v is 1; None without.
    """
    from scipy.optimize import linprog

    (count, size), missing = rows.shape, len(limits)
    # variables: v, the violations s, t
    cost = np.concatenate([np.zeros(size), np.full(missing, price), [1.0]])
    above = np.hstack([rows, np.zeros((count, missing)), -np.ones((count, 1))])
    within = np.hstack([-limits, -np.eye(missing), np.zeros((missing, 1))])
    matrix, ends = np.vstack([above, within]), np.concatenate([-domain.constants, domain.room])
    # no answer is no proof: these multipliers give a weak bound
    none = ProgramAnswer(np.inf, np.zeros(size), np.full(count, 1 / count), np.zeros(missing), np.inf)
    if not np.isfinite(matrix).all():
        # products of large numbers are beyond the range
        return none
    found = linprog(
        cost,
        A_ub=matrix,
        b_ub=ends,
        A_eq=None if whole is None else np.hstack([whole, np.zeros((1, missing + 1))]),
        b_eq=None if whole is None else [1.0],
        bounds=[*sides, *[(0.0, None)] * missing, (None, None)],
        method="highs",
    )
    if found.x is None:
        return none
    dual = np.maximum(-found.ineqlin.marginals, 0)
    weights = dual[:count] / max(dual[:count].sum(), 1e-300)
    violated = float(found.x[size : size + missing].sum())
    return ProgramAnswer(float(found.fun), found.x[:size], weights, dual[count:], violated)
