"""The price of the budget: segments with a gain for a unit of cost are bought, dearest first, until the budget is spent.

The value of the purchase is min over ψ ≥ 0 of ψ · budget + Σ width · (price − ψ)₊, convex and piecewise linear in ψ.
The search keeps two points, one on each side of the minimum. The next ψ is where the lines through them meet. At the
minimum the two lines are neighbours.
"""

import attrs
import torch
from torch import Tensor

# Ordinary data need about 12 rounds. Each round removes many of the prices that are left. Prices that span more digits
# than a number has end the search early. So many rounds are never needed.
_ROUNDS = 64


@attrs.define(eq=False)
class Spent:
    """The place where the budget ends, each (B, K).

    Everything above the price ``high`` is bought. The segments above ``low`` and not above ``high`` are bought to the
    ``share``. ``psi`` is the price at which the value is least.
    """

    low: Tensor
    high: Tensor
    share: Tensor
    psi: Tensor


@attrs.define(eq=False)
class _PricePoint:
    """A price, the cost of all segments that are dearer, and their gain, each (B, K)."""

    price: Tensor
    cost: Tensor
    gain: Tensor

    def update(self, where: Tensor, other: "_PricePoint") -> None:
        self.price = torch.where(where, other.price, self.price)
        self.cost = torch.where(where, other.cost, self.cost)
        self.gain = torch.where(where, other.gain, self.gain)


def spend(price: Tensor, width: Tensor, budget: Tensor) -> Spent:
    """The place where a budget (B, 1) ends that buys segments of these prices (B, N, K) and widths (B, N, 1 or K)."""
    low, high = _ends(price, width)
    # a budget that buys everything has the price 0, and a budget of 0 has the highest price
    done = low.cost <= budget
    high.update(done, low)
    low.update(budget.expand_as(done) <= 0, high)
    done = done | (low.price >= high.price)
    psi = high.price
    for _ in range(_ROUNDS):
        if bool(done.all()):
            break
        middle = (low.gain - high.gain) / torch.where(done, torch.ones_like(psi), low.cost - high.cost)
        psi = torch.where(done, psi, middle)
        here = _at(psi, price, width)
        over = here.cost > budget
        # no segment lies between: the two lines are neighbours and meet in the minimum
        met = (here.cost == low.cost) | (here.cost == high.cost) | (psi <= low.price) | (psi >= high.price)
        done = done | met
        low.update(over & ~done, here)
        high.update(~over & ~done, here)
    between = low.cost - high.cost
    rest = (budget - high.cost).clamp(min=0)
    share = torch.where(between > 0, rest / between, torch.zeros_like(rest)).clamp(max=1)
    return Spent(low.price, high.price, share, psi)


def _ends(price: Tensor, width: Tensor) -> tuple[_PricePoint, _PricePoint]:
    if not price.shape[1]:
        zero = price.new_zeros(price.shape[0], price.shape[2])
        return _PricePoint(zero, zero, zero), _PricePoint(zero, zero, zero)
    top = price.amax(1)
    zero = torch.zeros_like(top)
    return _at(zero, price, width), _PricePoint(top, zero, zero)


def _at(psi: Tensor, price: Tensor, width: Tensor) -> _PricePoint:
    surplus = (price - psi[:, None]).clamp_(min=0)
    extra = _weighted(surplus, width)
    cost = _weighted(surplus.sign_(), width)
    return _PricePoint(psi, cost, extra + psi * cost)


def _weighted(terms: Tensor, width: Tensor) -> Tensor:
    """Σ terms · width over the segments, (B, N, K) -> (B, K)."""
    if width.shape[2] == 1 and len(width) == len(terms):
        return (width.transpose(1, 2) @ terms).squeeze(1)
    return (terms * width).sum(1)
