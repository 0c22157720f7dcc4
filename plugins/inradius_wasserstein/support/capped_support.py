"""The support function of a Wasserstein ball with a cap of the pixels: an upper bound, and a point of the set.

With prices μ ≥ 0 of the pixels, max ⟨c, δ⟩ ≤ ⟨μ, cap − x⟩ + σ(c − μ), where σ is the support function without the cap.
Every μ gives a bound, and μ = 0 gives the bound without the cap. The best μ balances the mass that the plan brings to a
pixel with the room there. The point is found by buying in rounds.
Source: polyak1969.
"""

import torch
from torch import Tensor

from inradius.sets.arithmetic.outward import smallest
from inradius.sets.arithmetic.sums import total, upper
from inradius_wasserstein.set.moves import PixelMoves
from inradius_wasserstein.support.budget_dual import BudgetDual, Flow, change
from inradius_wasserstein.support.support import below, support_with_point

# Steps on the prices of pixels, and rounds of buying. On images the bound is then within 2 % of the maximum, and the
# point within 3 %.
_STEPS = 24
_ROUNDS = 24

# The first step aims to lower the bound by this share. The share is halved after each step that does not lower it.
_HOPE = 0.1


def capped_support(
    c: Tensor, x: Tensor, room: Tensor, moves: PixelMoves, budget: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """An upper bound on max ⟨c, δ⟩ over δ ≤ room, its gradient, and the prices, (B, K), (B, K, n), (B, K, n).

    The bound is at most the one without the room.
    """
    room = room[:, None]
    best, point = support_with_point(c, x, moves, budget)
    slope, found = point, torch.zeros_like(c)
    prices, value, hope = found, best, torch.full_like(best, _HOPE)
    for _ in range(_STEPS):
        excess = point - room
        excess = torch.where((prices > 0) | (excess > 0), excess, torch.zeros_like(excess))
        steep = excess.square().sum(2)
        length = (value - (1 - hope) * best) / torch.where(steep > 0, steep, torch.ones_like(steep))
        prices = (prices + length[..., None] * excess).clamp(min=0)
        value, point = _bound(c, prices, x, room, moves, budget)
        better = value < best
        hope = torch.where(better, hope, hope / 2)
        best = torch.minimum(value, best)
        slope = torch.where(better[..., None], point, slope)
        found = torch.where(better[..., None], prices, found)
    return best, slope, found


def _bound(
    c: Tensor, prices: Tensor, x: Tensor, room: Tensor, moves: PixelMoves, budget: Tensor
) -> tuple[Tensor, Tensor]:
    """The bound at given prices, rounded upwards, and its gradient."""
    left = c - prices
    value, point = support_with_point(left, x, moves, budget)
    # rounding and underflow of c − μ are changes of μ, which may make a μ negative
    grain, few = torch.finfo(c.dtype).eps, smallest(c.dtype)
    paid = (prices + grain * left.abs() * (prices > 0)) * room
    lost = 4 * few * (total(room + x[:, None]) + room.shape[2])
    return (value + upper(total(paid), c.shape[2]) + lost) * (1 + 2 * grain), point


def capped_maximizer(c: Tensor, x: Tensor, room: Tensor, moves: PixelMoves, budget: Tensor) -> Tensor:
    """A point of the set with a large ⟨c, δ⟩, not always the largest, (B, 1, n)."""
    _, _, prices = capped_support(c, x, room, moves, budget)
    points = [_bought(c - paid, c, x, room, moves, below(budget)) for paid in (torch.zeros_like(c), prices)]
    plain, priced = points
    return torch.where((c * priced).sum(2, keepdim=True) > (c * plain).sum(2, keepdim=True), priced, plain)


def _bought(worth: Tensor, c: Tensor, x: Tensor, room: Tensor, moves: PixelMoves, budget: Tensor) -> Tensor:
    """The change δ after rounds of buying, (B, 1, n). Each round buys as without a cap and is cut down to the room of
    the pixels.

    The next round spends the rest of the budget on mass that has not moved, and on pixels that are not full.
    """
    delta = torch.zeros_like(x)
    for _ in range(_ROUNDS):
        offered = worth.masked_fill(room[:, None] <= 0, -torch.inf)
        flows = BudgetDual(offered, x, moves, budget, where=True, own=worth).flows()
        arrives = _arrivals(flows, x)
        if not bool(arrives.any()):
            break
        share = torch.where(arrives > room, room / arrives.clamp(min=torch.finfo(x.dtype).tiny), 1.0)
        flows = tuple(flow.thinned(share) for flow in flows)  # type: ignore[assignment]
        leaves = torch.minimum(flows[0].amount + flows[1].amount, flows[0].mass[:, :, None])
        step = change(flows, leaves, worth.shape)[:, 0]
        delta, room = delta + step, (room - step).clamp(min=0)
        x = x.flatten().index_add(0, flows[0].source.flatten(), -leaves.flatten()).view_as(x).clamp(min=0)
        budget = (budget - sum(total(flow.paid[:, :, 0]) for flow in flows)).clamp(min=0)
    return delta[:, None]


def _arrivals(flows: tuple[Flow, Flow], x: Tensor) -> Tensor:
    """The mass that arrives at each pixel, (B, n)."""
    rows = torch.zeros_like(x).flatten()
    for flow in flows:
        rows.index_add_(0, flow.target.flatten(), flow.amount.flatten())
    return rows.view_as(x)
