"""The path's points, example by example until each has the accuracy asked for."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.projection.blocked_gram import BlockedGram
from inradius_wasserstein.projection.central_path import next_point
from inradius_wasserstein.projection.move_pairs import MovePairs
from inradius_wasserstein.projection.path_point import PathPoint
from inradius_wasserstein.projection.residuals import residuals
from inradius_wasserstein.projection.scaled_problem import ScaledProblem

# Examples end after 9 to 25 steps; the rest lose nothing but time.
_STEPS = 60
# An example whose gap has not shrunk for so many steps has all the digits that its numbers have.
_PATIENCE = 8
# The share of examples still going at which the others are left out.
_THIN = 0.8


@attrs.frozen
class Accuracy:
    """The largest merit, as a share of what a point is worth, and the ``inside`` of that worth."""

    tolerance: float
    inside: float


@attrs.frozen(eq=False)
class FollowedPath:
    """The best points found, and which of them are as good as asked for, (B,)."""

    point: PathPoint
    done: Tensor


def follow_path(
    task: ScaledProblem, point: PathPoint, gram: BlockedGram | MovePairs, aim: Accuracy, going: Tensor | None = None
) -> FollowedPath:
    """Points whose merit is at most what ``aim`` says, or where that cannot be had, those of the least merit.

    Examples that are not ``going`` (B,) are left where they are.
    """
    best, rows = point, torch.arange(len(point.price), device=point.price.device)
    found = FollowedPath(point.copied(), torch.zeros_like(rows, dtype=torch.bool))
    merit, since = torch.full_like(point.price, torch.inf), torch.zeros_like(rows)
    total, going = merit.clone(), torch.ones_like(rows, dtype=torch.bool) if going is None else going
    for _ in range(_STEPS):
        missing = residuals(task, point, aim.inside)
        better = going & (missing.merit < merit)
        best = point if bool(better.all()) else best.where(~better, point)
        progress = (missing.merit < 0.95 * merit) | (missing.total < 0.9 * total)
        since, total = torch.where(progress, 0, since + 1), torch.minimum(total, missing.total)
        merit = torch.where(better, missing.merit, merit)
        done = merit <= aim.tolerance * missing.gap_scale
        found.done[rows] |= better & done
        going = going & ~done & (since < _PATIENCE) & missing.merit.isfinite()
        left = int(going.sum())
        if left <= _THIN * len(going):
            found.point.put(rows, best)
            if not left:
                break
            task, point, missing, best = task.take(going), point.take(going), missing.take(going), best.take(going)
            gram, rows, merit, total, since = gram.take(going), rows[going], merit[going], total[going], since[going]
            going = going[going]
        point = next_point(task, gram, point, missing)
    found.point.put(rows, best)
    return found
