"""The exact minimum over a domain in which the network is affine, for every convex set.

    minimise t   over δ ∈ Δ(x) and t   such that   t ≥ every row of the clause, and every split number is within its limits.

The set is known through its maximisers alone, so δ is a mean of maximisers. A linear program chooses the mean; its multipliers
are a linear function, whose minimiser over the set joins the mean, until the multipliers prove the optimum. They become the
multipliers of a backward pass, so a proof does not rest on the program. Source: dantzig1960 (column generation).
"""

from collections.abc import Callable

import attrs
import numpy as np

from inradius_bounds.search.leaf_program import AffineDomain, BoxPoints, MixedPoints, ProgramAnswer

# the most programs for one domain, and the price of a violated limit at first and at most
_ROUNDS, _PRICE, _DEAREST = 200, 1e2, 1e10
# a sum of violations that counts as none
_MISSED = 1e-11


@attrs.frozen(eq=False)
class LeafAnswer:
    """The optimum of a leaf: the multipliers of its rows (M,) and of its limits (L,), bounds of t, and the δ of the upper one.

    ``delta`` (n,) is None where no point within the limits was found.
    """

    weights: np.ndarray
    prices: np.ndarray
    low: float
    high: float
    delta: np.ndarray | None

    @classmethod
    def none(cls, domain: AffineDomain) -> "LeafAnswer":
        """The answer that knows nothing: the mean of the rows, and no price."""
        even = np.full(len(domain.constants), 1 / len(domain.constants))
        return cls(even, np.zeros(len(domain.room)), -np.inf, np.inf, None)

    def with_program(self, domain: AffineDomain, found: ProgramAnswer, column: np.ndarray) -> "LeafAnswer":
        """The better of this answer and a program's; ``column`` is the minimiser of the program's linear function."""
        best, low = self, found.low(domain, column)
        if low > best.low:
            best = attrs.evolve(best, weights=found.weights, prices=found.prices, low=low)
        if found.missed <= _MISSED and found.value < best.high:
            best = attrs.evolve(best, high=found.value, delta=found.delta)
        return best


# numbers that overflow are no answer
@np.errstate(all="ignore")
def solved(domain: AffineDomain, minimiser: Callable[[np.ndarray], np.ndarray], tolerance: float) -> LeafAnswer:
    """The minimum of the clause's largest row over the domain; ``minimiser`` gives the δ of Δ(x) at which ⟨c, δ⟩ is smallest.

    It ends when the bounds are ``tolerance`` apart, or agree on the sign.
    """
    price, best = _PRICE, LeafAnswer.none(domain)
    columns = [minimiser(best.weights @ domain.rows)]
    for _ in range(_ROUNDS):
        # members of a set that is wider than the type have no mean
        if not np.isfinite(columns[-1]).all():
            break
        found = MixedPoints(np.stack(columns)).program(domain, price)
        if not np.isfinite(found.value):
            break
        column = minimiser(found.row(domain))
        best = best.with_program(domain, found, column)
        if best.low > tolerance or best.high - best.low <= tolerance:
            break
        if found.value - found.low(domain, column) <= tolerance * (1 + abs(found.value)):
            # the program is solved at this price, and limits may still be violated
            if found.missed <= _MISSED or price >= _DEAREST:
                break
            price *= 100
        columns.append(column)
    return best


@np.errstate(all="ignore")
def solved_in_box(domain: AffineDomain, low: np.ndarray, high: np.ndarray, tolerance: float) -> LeafAnswer:
    """The minimum of the clause's largest row over the domain, for the set low ≤ δ ≤ high (n numbers each)."""
    price, best = _PRICE, LeafAnswer.none(domain)
    while price <= _DEAREST:
        found = BoxPoints(low, high).program(domain, price)
        best = best.with_program(domain, found, np.where(found.row(domain) > 0, low, high))
        if best.low > tolerance or found.missed <= _MISSED:
            break
        price *= 100
    return best
