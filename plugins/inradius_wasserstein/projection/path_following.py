"""The points of the central path, example by example, until each has the accuracy asked for."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.projection.blocked_gram import BlockedGram
from inradius_wasserstein.projection.central_path import next_point
from inradius_wasserstein.projection.move_pairs import MovePairs
from inradius_wasserstein.projection.path_point import PathPoint
from inradius_wasserstein.projection.residuals import residuals
from inradius_wasserstein.projection.scaled_problem import ScaledProblem

# Examples end after 9 to 25 steps. More steps cost time and change nothing.
_STEPS = 60
# An example whose gap has not shrunk for so many steps has reached the precision of its numbers.
_PATIENCE = 8
# When at most this share of the examples is unfinished, the finished ones are removed.
_THIN = 0.8


@attrs.frozen
class Accuracy:
    """The largest merit, as a share of ``gap_scale``, and the ``inside`` of that scale."""

    tolerance: float
    inside: float


@attrs.frozen(eq=False)
class FollowedPath:
    """The best points found, and True for those that have the accuracy asked for, (B,)."""

    point: PathPoint
    done: Tensor


def follow_path(
    task: ScaledProblem, point: PathPoint, gram: BlockedGram | MovePairs, aim: Accuracy, going: Tensor | None = None
) -> FollowedPath:
    """Points whose merit is at most that of ``aim``; where this cannot be reached, the points of the least merit.

    Examples that are not ``going`` (B,) stay unchanged.
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
