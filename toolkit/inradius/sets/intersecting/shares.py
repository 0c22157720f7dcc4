"""How a direction is best shared among the members of an intersection.

max ⟨c, δ⟩ over all members ≤ Σ supportᵢ(cᵢ) for every split c = Σ cᵢ, and the best split attains it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from inradius.sets.arithmetic.outward import smallest
from inradius.sets.arithmetic.sums import total
from inradius.sets.intersecting.splitting import solve
from inradius.sets.oracles import Oracles

# numbers of one copy of the members' points that the search holds at once
_BLOCK = 1 << 20


def shared_support(
    members: Sequence[Oracles], c: Tensor, x: Tensor, hull: tuple[Tensor, Tensor], steps: int, tol: float
) -> tuple[Tensor, Tensor]:
    """The least Σ supportᵢ(cᵢ) found, rounded upwards, and the point that the search ended with, (B, K) and (B, K, *S).

    Every member alone is among the splits; ``hull`` is that of the intersection.
    """
    singles = torch.stack([member.support(c, x) for member in members])
    alone, carrier = singles.min(0)
    rest, points, start = _search(members, c, x, carrier, steps, tol)
    shape = (*carrier.shape, *(1,) * (x.ndim - 1))
    held = [(carrier == i).view(shape) for i in range(len(members))]
    # the carrier makes up what the rests lack of c, whatever the search did
    others = sum((part * ~mine for part, mine in zip(rest, held, strict=True)), torch.zeros_like(c))
    shares = [torch.where(mine, c - others, part) for part, mine in zip(rest, held, strict=True)]
    value = torch.stack([member.support(share, x) for member, share in zip(members, shares, strict=True)]).sum(0)
    value = value * (1 + (len(members) + 4) * torch.finfo(c.dtype).eps) + _rounding(shares, hull)
    better = value < alone
    return torch.where(better, value, alone), torch.where(better.view(shape), points, start)


def _search(
    members: Sequence[Oracles], c: Tensor, x: Tensor, carrier: Tensor, steps: int, tol: float
) -> tuple[list[Tensor], Tensor, Tensor]:
    """The result of linear maximisation: the parts of c for each of the m members, its last point, and its first point.

    m + 2 tensors (B, K, *S).
    """
    count = c.shape[1]
    flat, first, around = c.flatten(0, 1), carrier.flatten(), x.repeat_interleave(count, dim=0)
    step = max(1, _BLOCK // max(1, len(members) * x.shape[1:].numel()))
    parts = [slice(k, k + step) for k in range(0, max(1, len(flat)), step)]
    found = [_ended(members, flat[part], around[part], first[part], steps, tol) for part in parts]
    rest, points, start = (torch.cat(side) for side in zip(*found, strict=True))
    return [part.view_as(c) for part in rest.unbind(1)], points.view_as(c), start.view_as(c)


def _ended(
    members: Sequence[Oracles], c: Tensor, x: Tensor, first: Tensor, steps: int, tol: float
) -> tuple[Tensor, Tensor, Tensor]:
    vertices = torch.stack([member.linear_max(c, x) for member in members])
    start = vertices[first, torch.arange(len(x), device=x.device)]
    split = solve(members, c, x, start, first, 0.0, steps, tol)
    return split.rest, split.points.mean(1), start


def _rounding(shares: list[Tensor], hull: tuple[Tensor, Tensor]) -> Tensor:
    """The most that ⟨c − Σ shares, δ⟩ can be because the carrier's share was rounded, (B, K)."""
    unit, few = torch.finfo(shares[0].dtype).eps, smallest(shares[0].dtype)
    reach = torch.maximum(-hull[0], hull[1]).unsqueeze(1)
    size = torch.stack([share.abs() for share in shares]).sum(0)
    # each difference and each product may underflow
    lost = 4 * (len(shares) + 1) * few * (1 + reach)
    return total((2 * (len(shares) + 1) * unit * size * reach + lost).flatten(2))
