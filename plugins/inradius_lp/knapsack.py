"""The ℓ1 ball ∩ box: linear maximisation as a fractional knapsack, and its dual value.

A radius is spent on coordinates whose prices are |c|, each up to its cap, dearest first. Source: dantzig1957.
"""

import torch
from torch import Tensor

from inradius.sets.arithmetic.sums import total


def dearest(prices: Tensor, caps: Tensor, radius: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """The k largest prices in order, with their caps, two of (..., k); enough of them to use up every row's radius.

    k grows from ``first`` while a row wants more, so that most of the prices are never sorted.
    """
    size = prices.shape[-1]
    count = min(first, size)
    while True:
        top, places = prices.topk(count, dim=-1)
        chosen = caps.gather(-1, places)
        wanting = (total(chosen).unsqueeze(-1) < radius) & (top[..., -1:] > 0)
        if count == size or not bool(wanting.any()):
            return top, chosen
        count = min(4 * count, size)


def last_price(top: Tensor, chosen: Tensor, radius: Tensor, *, complete: bool) -> Tensor:
    """The price θ of the coordinate that uses up the radius, for the k largest prices in order, (..., k) -> (..., 1).

    If the k coordinates do not use it up, θ is the smallest of these prices, or 0 if they are all prices (``complete``).
    """
    count = top.shape[-1]
    bought = (chosen.cumsum(-1) < radius).sum(-1, keepdim=True)
    theta = top.gather(-1, bought.clamp(max=count - 1))
    return torch.where(bought < count, theta, torch.zeros_like(theta)) if complete else theta


def dual_value(top: Tensor, chosen: Tensor, radius: Tensor, theta: Tensor) -> Tensor:
    """θ · radius + Σ caps (prices − θ)₊, an upper bound of what the radius buys for every θ ≥ 0, (..., k) -> (...).

    Prices of at most θ may be left out. At the last price it is exact, and rounding in the choice of θ is harmless.
    """
    return (theta * radius).squeeze(-1) + total((top - theta).clamp_(min=0).mul_(chosen))


def purchase(prices: Tensor, caps: Tensor, radius: Tensor, theta: Tensor) -> Tensor:
    """The amounts bought, (..., n): the caps above the last price θ; what costs just θ shares the rest of the radius."""
    side = (prices - theta).sign_()
    above, level = side.clamp(min=0).mul_(caps), (1 - side.abs_()).mul_(caps)
    rest = (radius.squeeze(-1) - total(above)).clamp(min=0)
    cost = total(level)
    share = torch.where(cost > 0, rest / cost, torch.zeros_like(cost)).clamp_(max=1)
    return above.addcmul_(level, share.unsqueeze(-1))
