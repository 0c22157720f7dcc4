"""How a direction is best shared among the members of an intersection.

max ⟨c, δ⟩ over all members ≤ Σ supportᵢ(cᵢ) for every split c = Σ cᵢ, and the best split attains it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from inradius import Oracles
from inradius_sets.splitting import solve

# numbers of one copy of the members' points that the search holds at once
_BLOCK = 1 << 20


def best_shares(
    members: Sequence[Oracles], c: Tensor, x: Tensor, steps: int, tol: float
) -> tuple[list[Tensor], Tensor]:
    """The share of each member, m of (B, K, *S), and which member takes the remainder that makes up c, (B, K).

    Where no split is better, one member takes all of c.
    """
    singles = torch.stack([member.support(c, x) for member in members])
    carrier = singles.argmin(0)
    rest = _rests(members, c, x, carrier, steps, tol)
    shape = (*carrier.shape, *(1,) * (x.ndim - 1))
    held = [(carrier == i).view(shape) for i in range(len(members))]
    others = sum((part * ~mine for part, mine in zip(rest, held, strict=True)), torch.zeros_like(c))
    shares = [torch.where(mine, c - others, part) for part, mine in zip(rest, held, strict=True)]
    value = torch.stack([m.support(share, x) for m, share in zip(members, shares, strict=True)]).sum(0)
    better = (value < singles.amin(0)).view(shape)
    alone = [torch.where(mine, c, torch.zeros_like(c)) for mine in held]
    return [torch.where(better, share, one) for share, one in zip(shares, alone, strict=True)], carrier


def _rests(members: Sequence[Oracles], c: Tensor, x: Tensor, carrier: Tensor, steps: int, tol: float) -> list[Tensor]:
    """The splits that the iteration of linear maximisation ends with, m of (B, K, *S)."""
    count = c.shape[1]
    flat, first = c.flatten(0, 1), carrier.flatten()
    around = x.repeat_interleave(count, dim=0)
    step = max(1, _BLOCK // max(1, len(members) * x[0].numel()))
    parts = [
        _rest(members, flat[k : k + step], around[k : k + step], first[k : k + step], steps, tol)
        for k in range(0, len(flat), step)
    ]
    return [part.view_as(c) for part in torch.cat(parts).unbind(1)]


def _rest(members: Sequence[Oracles], c: Tensor, x: Tensor, first: Tensor, steps: int, tol: float) -> Tensor:
    points = torch.stack([member.linear_max(c, x) for member in members])
    start = points[first, torch.arange(len(x), device=x.device)]
    return solve(members, c, x, start, first, 0.0, steps, tol).rest


def rounding_of(shares: list[Tensor], carrier: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The most that ⟨c − Σ shares, δ⟩ can be because the carrier's remainder was rounded, (B, K)."""
    unit = torch.finfo(low.dtype).eps
    reach = torch.maximum(-low, high).unsqueeze(1)
    size = torch.stack([share.abs() for share in shares]).sum(0)
    alone = torch.stack([(share == 0).flatten(2).all(2) for share in shares]).sum(0) >= len(shares) - 1
    error = ((len(shares) + 1) * unit * size * reach).flatten(2).sum(2)
    return torch.where(alone, torch.zeros_like(error), 2 * error)
