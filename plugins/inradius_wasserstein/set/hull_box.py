"""Elementwise bounds of δ: the mass that each pixel can lose and gain."""

import torch
from torch import Tensor

from inradius_wasserstein.set.moves import PixelMoves, window_moves


def pixel_bounds(x: Tensor, moves: PixelMoves, budget: Tensor) -> tuple[Tensor, Tensor] | None:
    """The least (≤ 0) and the largest change of each pixel, rounded outwards, two of (B, C, H, W); None without a window.

    A pixel loses mass at the price of its cheapest move. It gains the mass around it, the cheapest first.
    """
    if moves.window is None:
        return None
    mass, (height, width) = x.flatten(2), x.shape[2:]
    outward = 1 + (moves.target.shape[1] + 16) * torch.finfo(x.dtype).eps
    cost = _seen(moves.cost)
    out = cost.masked_fill(~moves.valid, torch.inf)[:, 1:]
    cheapest = out.amin(1) if out.shape[1] else torch.full_like(moves.cost[:, 0], torch.inf)
    free = cheapest == 0
    spent = budget[:, None, None]
    limit = spent / torch.where(free, torch.ones_like(cheapest), cheapest) * outward + _few(spent)
    low = torch.where(free, mass, torch.where(cheapest < torch.inf, torch.minimum(mass, limit), 0))
    high = _gained(mass, window_moves(_back(moves), height, width, x.device, x.dtype), spent)
    return -low.view_as(x), (high * outward).view_as(x)


def _back(moves: PixelMoves) -> tuple[tuple[float, ...], ...]:
    """The window of costs for moves from a pixel's neighbours to the pixel."""
    assert moves.window is not None
    return tuple(row[::-1] for row in moves.window[::-1])


def _gained(mass: Tensor, back: PixelMoves, budget: Tensor) -> Tensor:
    """The mass that can reach each pixel, (B, C, n), (B, 1, 1) -> (B, C, n)."""
    gained, left, few = torch.zeros_like(mass), budget.expand_as(mass), _few(budget)
    costs = _seen(back.cost)
    for column in range(1, back.target.shape[1]):
        offer = mass[:, :, back.target[:, column]] * back.valid[:, column]
        cost = costs[:, column]
        bought = torch.minimum(offer, left / torch.where(cost > 0, cost, 1) + few)
        bought = torch.where(cost > 0, bought, offer)
        gained = gained + bought
        left = torch.maximum(left - bought * cost, few)
    return gained


def _seen(cost: Tensor) -> Tensor:
    """The costs, with 0 for costs so small that quotients by them may overflow, in the shape given."""
    info = torch.finfo(cost.dtype)
    return torch.where(cost < info.smallest_normal / info.eps, 0, cost)


def _few(budget: Tensor) -> Tensor:
    """The mass that underflow may take from a budget, 0 for a budget of 0, in the shape of the budget."""
    return (budget > 0).to(budget.dtype) * torch.finfo(budget.dtype).smallest_normal
