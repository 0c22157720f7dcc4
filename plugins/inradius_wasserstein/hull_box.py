"""How much mass each pixel can lose and gain, elementwise bounds of δ."""

import torch
from torch import Tensor

from inradius_wasserstein.moves import Moves, window_moves


def pixel_bounds(x: Tensor, moves: Moves, budget: Tensor) -> tuple[Tensor, Tensor] | None:
    """The least (≤ 0) and the largest change of each pixel, rounded outwards, two of (B, C, H, W); None without a window.

    A pixel loses mass at the price of its cheapest move, and gains the mass around it, the cheapest first.
    """
    if moves.window is None:
        return None
    mass, (height, width) = x.flatten(2), x.shape[2:]
    outward = 1 + (moves.target.shape[1] + 16) * torch.finfo(x.dtype).eps
    out = moves.cost.masked_fill(~moves.valid, torch.inf)[:, 1:]
    cheapest = out.amin(1) if out.shape[1] else torch.full_like(moves.cost[:, 0], torch.inf)
    free = cheapest == 0
    limit = budget[:, None, None] / torch.where(free, torch.ones_like(cheapest), cheapest)
    low = torch.where(free, mass, torch.minimum(mass, limit * outward))
    high = _gained(mass, window_moves(_back(moves), height, width, x.device, x.dtype), budget[:, None, None])
    return -low.view_as(x), (high * outward).view_as(x)


def _back(moves: Moves) -> tuple[tuple[float, ...], ...]:
    """The window of costs from a pixel's neighbours to itself."""
    assert moves.window is not None
    return tuple(row[::-1] for row in moves.window[::-1])


def _gained(mass: Tensor, back: Moves, budget: Tensor) -> Tensor:
    """The mass that can be brought to each pixel, (B, C, n), (B, 1, 1) -> (B, C, n)."""
    gained, left = torch.zeros_like(mass), budget.expand_as(mass)
    for column in range(1, back.target.shape[1]):
        offer = mass[:, :, back.target[:, column]] * back.valid[:, column]
        cost = back.cost[:, column]
        bought = torch.where(cost > 0, torch.minimum(offer, left / cost.clamp(min=torch.finfo(cost.dtype).tiny)), offer)
        gained = gained + bought
        left = (left - bought * cost).clamp(min=0)
    return gained
