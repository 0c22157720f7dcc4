"""Members up to rounding, from points that are members up to what a search left."""

from collections.abc import Sequence

import torch
from torch import Tensor

from inradius.sets.examples import expand
from inradius.sets.intersecting.splitting import agreed
from inradius.sets.oracles import Oracles

_STEPS = 100


def exactly(whole: Oracles, members: Sequence[Oracles], point: Tensor, x: Tensor) -> Tensor:
    """The points, those that ``contains`` refuses with tolerance 0 moved to members near them where such are found, (B, *S).

    Members' points differ by what the search left. From there the iteration goes on without a target, which only
    brings them together, until they differ by rounding alone.
    """
    rows = (~whole.contains(point, x, tol=0.0)).nonzero().squeeze(1)
    if not len(rows):
        return point
    part, here, around = whole.select(rows), point[rows], x[rows]
    split = agreed([m.select(rows) for m in members], here, around, _STEPS, torch.finfo(point.dtype).eps)
    found = torch.stack([_short(part, each, around) for each in (*split.points.unbind(1), split.points.mean(1), here)])
    inside = torch.stack([part.contains(each, around, tol=0.0) for each in found])
    away = torch.linalg.vector_norm((found - here).flatten(2), dim=2)
    # where none is a member, the point itself has the least distance
    best = torch.where(inside, away, torch.inf).argmin(0)
    best = torch.where(inside.any(0), best, len(found) - 1)
    nearest = torch.where(expand(inside.any(0), here), found[best, torch.arange(len(rows), device=x.device)], here)
    return point.index_copy(0, rows, nearest)


def _short(whole: Oracles, point: Tensor, x: Tensor) -> Tensor:
    """The point, drawn towards 0 where its gauge is above 1, (B, *S)."""
    gauge = whole.gauge(point, x)
    shrink = (1 - 4 * torch.finfo(point.dtype).eps) / gauge
    return point * expand(torch.where((gauge > 1) & gauge.isfinite(), shrink, 1.0), point)
