"""The ℓ1 ball ∩ box: linear maximisation as a fractional knapsack, and its dual value."""

import torch
from torch import Tensor

from inradius_lp.sums import total


def fill(a: Tensor, cap: Tensor, radius: Tensor, first: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Dearest first, as much of each as its cap allows, until the radius is used: prices, caps, amounts, places.

    a ≥ 0 are the prices, the caps are of the same shape, radius (..., 1); four of (..., k). Source: dantzig1957. Only
    the k largest prices are sorted, k from ``first`` on upwards until no row wants more.
    """
    size = a.shape[-1]
    count = min(first, size)
    while True:
        prices, places = a.topk(count, dim=-1)
        caps = cap.expand_as(a).gather(-1, places)
        spent = caps.cumsum(-1)
        wanting = (spent[..., -1:] < radius) & (prices[..., -1:] > 0)
        if count == size or not bool(wanting.any()):
            break
        count = min(4 * count, size)
    before = torch.nn.functional.pad(spent[..., :-1], (1, 0))
    amounts = torch.minimum((radius - before).clamp(min=0), caps) * prices.sign()
    return prices, caps, amounts, places


def last_price(prices: Tensor, caps: Tensor, radius: Tensor, *, complete: bool) -> Tensor:
    """The price θ at which the radius is used up, for the k largest prices in order, (..., k) -> (..., 1).

    Where it lasts longer θ is the last of them, or 0 where they are ``complete``: nothing was left out.
    """
    count = prices.shape[-1]
    bought = (caps.cumsum(-1) < radius).sum(-1, keepdim=True)
    theta = prices.gather(-1, bought.clamp(max=count - 1))
    return torch.where(bought < count, theta, torch.zeros_like(theta)) if complete else theta


def dual_value(prices: Tensor, caps: Tensor, radius: Tensor, theta: Tensor) -> Tensor:
    """θ · radius + Σ caps (prices − θ)₊, an upper bound of what the radius buys for every θ ≥ 0, (..., k) -> (...).

    Prices of at most θ may be left out. At the last price it is exact, and rounding in the choice of θ is harmless.
    """
    return (theta * radius).squeeze(-1) + total((prices - theta).clamp_(min=0).mul_(caps))
