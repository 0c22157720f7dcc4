"""Further searches with other weights, for targets whose coordinates span many orders of magnitude."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from inradius.sets.intersecting.feasible import best_point, tolerance
from inradius.sets.intersecting.splitting import Split, resumed
from inradius.sets.oracles import Oracles

# What the weight is multiplied with for the next search where members' points are apart, and where they agree; and its steps.
_GROW, _SHRINK, _STEPS = 10.0, 0.1, 60
# How far from the best point the answer may be, as a share of its length; of linear maximisation what it may lack, of the product.
_NEAR = 1e-9


@attrs.frozen(eq=False)
class Target:
    """The point that is searched: that of all members nearest to t (α = 1), or farthest along t (α = 0), around x (B, *S)."""

    whole: Oracles
    members: Sequence[Oracles]
    t: Tensor
    x: Tensor
    alpha: float
    tol: float


def searched_further(target: Target, split: Split, best: tuple[Tensor, Tensor], stages: int) -> tuple[Tensor, Tensor]:
    """The best point and a bound on what it lacks, after so many searches more at most, (B, *S) and (B,).

    The weight grows where the members' points are apart, and shrinks where they agree, so that coordinates with less and less force
    find their place. Examples that are not settled then begin again, with a weight that shrinks alone.
    """
    found, lack = (side.clone() for side in best)
    rows = (lack > _wanted(target, found)).nonzero().squeeze(1)
    for adaptive in (True, False):
        settled = _passed(target, split.take(rows), found, lack, rows, stages, adaptive=adaptive)
        rows = rows[~settled]
    return found, lack


def _rounding(target: Target, point: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
    """The rounding error of what a point lacks, (n,)."""
    return 4 * torch.finfo(point.dtype).eps * _length(target.t[rows]) * _length(point)


def _wanted(target: Target, point: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
    """The most that a point may lack, as computed, and surely be the answer, (n,); below 0 where rounding hides it."""
    size = _length(point)
    # the distance from the projection is at most the square root of twice what is lacking
    most = (_NEAR * size).square() / 2 if target.alpha else _NEAR * size * _length(target.t[rows])
    return most - _rounding(target, point, rows)


def _passed(
    target: Target, split: Split, found: Tensor, lack: Tensor, rows: Tensor, stages: int, *, adaptive: bool
) -> Tensor:
    """One pass over the examples in ``rows``, which writes on ``found`` and ``lack``; which of them are settled, (n,).

    A best point stays where it is under every weight: where rounding hides what is lacking, an example is settled when a search
    moves it no more.
    """
    settled, place = torch.zeros_like(rows, dtype=torch.bool), torch.arange(len(rows), device=rows.device)
    for _ in range(stages if len(rows) else 0):
        t, x, here = target.t[rows], target.x[rows], found[rows]
        split = resumed(target.members, t, x, split, _share(split, adaptive), target.alpha, _STEPS, target.tol)
        other, further = best_point(target.whole, split, t, x, target.alpha)
        floor = _rounding(target, here, rows)
        better = further <= lack[rows] + floor
        found[rows[better]], lack[rows[better]] = other[better], further[better]
        still = (_length(other - here) <= _NEAR * _length(here)) & (further <= floor)
        going = ~still & (further > _wanted(target, other, rows))
        settled[place[~going]] = True
        rows, place, split = rows[going], place[going], split.take(going)
        if not len(rows):
            break
    return settled


def _share(split: Split, adaptive: bool) -> Tensor:
    """The factor of the weight for the next search, (B, 1)."""
    share = torch.full_like(split.rho, _SHRINK)
    if adaptive:
        apart = _length(split.points - split.points.mean(1, keepdim=True))
        share[apart > tolerance(split.points.dtype) * _length(split.points)] = _GROW
    return share


def _length(values: Tensor) -> Tensor:
    found: Tensor = torch.linalg.vector_norm(values.flatten(1), dim=1)
    return found
