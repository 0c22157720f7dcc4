"""A point of the intersection from points of its members, and what it lacks of the best one."""

import torch
from torch import Tensor

from inradius.sets.examples import expand
from inradius.sets.intersecting.splitting import Split
from inradius.sets.oracles import Oracles

# halvings on the way towards 0
_HALVINGS = 30


def tolerance(dtype: torch.dtype) -> float:
    """The share of their size that members' points may be apart at the end."""
    return 1e-10 if dtype == torch.float64 else 1e-6


def best_point(whole: Oracles, split: Split, t: Tensor, x: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """The best of the members' points, each drawn into the set, and a bound on what it lacks, (B, *S) and (B,)."""
    tol = tolerance(t.dtype)
    # what is left of a set that is {0} is rounding error
    floor = 10 * tol * split.reach
    found = [inside(whole, point, x, tol, floor) for point in (*split.points.unbind(1), split.points.mean(1))]
    worths = torch.stack([worth(point, t, alpha) for point in found])
    best = torch.stack(found)[worths.argmax(0), torch.arange(len(x), device=x.device)]
    return best, _gap(split, best, t, alpha)


def inside(whole: Oracles, point: Tensor, x: Tensor, tol: float, floor: Tensor) -> Tensor:
    """The point, drawn towards 0 (a member of every set) until every gauge is ≤ 1 and violations are within ``tol``.

    A point shorter than ``floor`` (B,) becomes 0.
    """
    gauge = whole.gauge(point, x)
    shrink = (1 - 4 * torch.finfo(point.dtype).eps) / gauge
    point = point * expand(torch.where(gauge > 1, shrink, torch.ones_like(gauge)), point)
    allowed = 10 * tol * point.flatten(1).abs().amax(1)
    low, high = torch.zeros_like(allowed), torch.ones_like(allowed)
    for step in range(_HALVINGS):
        if bool((low == high).all()):
            break
        share = high if step == 0 else (low + high) / 2
        good = whole.violation(point * expand(share, point), x) <= allowed * share
        low, high = torch.where(good, share, low), torch.where(good, high, share)
    short = torch.linalg.vector_norm(point.flatten(1), dim=1) * low <= floor
    return point * expand(torch.where(short, torch.zeros_like(low), low), point)


def worth(point: Tensor, t: Tensor, alpha: float) -> Tensor:
    """⟨t, p⟩, or for α = 1 that minus ½‖p‖²."""
    return ((t - alpha * point / 2) * point).flatten(1).sum(1)


def _gap(split: Split, point: Tensor, t: Tensor, alpha: float) -> Tensor:
    """Σ supportᵢ(restᵢ) − ⟨Σ rest, p⟩ + α/2 ‖t − p − Σ rest‖²: the value of the dual problem minus that at p, (B,).

    For α = 0 the last term is the most that ⟨t − Σ rest, δ − p⟩ can be, by the length of the points.

    The supports are taken where the rests are normal to the members, at their points.
    """
    rest = split.normals
    total = rest.sum(1)
    lack = (rest * (split.points - point.unsqueeze(1))).flatten(1).sum(1)
    away: Tensor = torch.linalg.vector_norm((t - alpha * point - total).flatten(1), dim=1)
    if not alpha:
        # no two points of the set are further apart than twice the longest
        longest: Tensor = torch.linalg.vector_norm(split.points.flatten(2), dim=2).amax(1)
        lack = lack + 2 * away * longest
        return lack.clamp(min=0)
    # a point that is outside by rounding can be better than the best one
    return (lack + alpha / 2 * away.square()).clamp(min=0)
