"""Proximal points of a norm, and steps of the dual length one."""

from collections.abc import Callable

import torch
from torch import Tensor

from inradius import AttackBatch
from inradius.sets.examples import expand
from inradius.sets.norm import L1, L2, LINF
from inradius_minimal.boundary import small_radius
from inradius_minimal.counting import grain

# shares of the gauge that are compared, again and again, for sets without a closed form
_SHARES = 4
_ROUNDS = 3
# the order of the dual norm
_DUAL = {LINF: 1.0, L2: 2.0, L1: torch.inf}


def dual_length(part: AttackBatch, gradient: Tensor) -> Tensor:
    """The most that ⟨gradient, δ⟩ is where the size of δ is 1, if the box is far away, (n, *S) -> (n,).

    The size is the norm where the set is measured by one, else the gauge; there it is taken at a small radius, or for one change.
    """
    measure = part.threat.measure
    order = None if measure is None else _DUAL.get(measure)
    if order is None:
        counted = grain(part)
        radius = torch.where(counted > 0, counted, small_radius(part))
        most = part.threat.per_example(radius).linear_max(gradient, part.x)
        return (gradient * most).flatten(1).sum(1) / radius
    length: Tensor = torch.linalg.vector_norm(gradient.flatten(1), ord=order, dim=1)
    return length


def nearer(part: AttackBatch, moved: Tensor, weight: Tensor) -> Tensor:
    """The point z of the least ½ ‖z − moved‖² + weight · size(z), for ``weight`` (n,), within the hard constraints, (n, *S)."""
    measure = part.threat.measure
    closed = None if measure is None else _CLOSED.get(measure)
    if closed is None:
        return _searched(part, moved, weight)
    low, high = part.threat.room(part.x)
    return torch.clamp(closed(moved.flatten(1), weight[:, None]).view_as(moved), low, high)


def _soft(rows: Tensor, weight: Tensor) -> Tensor:
    return (rows.abs() - weight).clamp(min=0).copysign(rows)


def _shrunk(rows: Tensor, weight: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows * (1 - weight / length.clamp(min=torch.finfo(rows.dtype).tiny)).clamp(min=0)


def _cut(rows: Tensor, weight: Tensor) -> Tensor:
    """The largest entries cut to a level, so that Σ of what is cut off is ``weight``; 0 where there is less."""
    size = rows.abs().sort(dim=1, descending=True).values
    spare = size.cumsum(1) - weight
    count = torch.arange(1, rows.shape[1] + 1, device=rows.device)
    # the level of the first k entries, for the largest k whose smallest entry is above it
    levels = spare / count
    last = (size > levels).sum(1, keepdim=True).clamp(min=1)
    level = levels.gather(1, last - 1).clamp(min=0)
    return rows.clamp(-level, level)


_CLOSED: dict[object, Callable[[Tensor, Tensor], Tensor]] = {L1: _soft, L2: _shrunk, LINF: _cut}


def _searched(part: AttackBatch, moved: Tensor, weight: Tensor) -> Tensor:
    """The same for any set: of the projections on the sets of several radii the best, then again near that one."""
    gauge = part.threat.gauge(moved, part.x)
    low, high = torch.zeros_like(gauge), torch.where(torch.isfinite(gauge), gauge, 1.0)
    answer, least = torch.zeros_like(moved), torch.full_like(gauge, torch.inf)
    best = low
    for _ in range(_ROUNDS):
        step = (high - low) / _SHARES
        for number in range(_SHARES + 1):
            point = part.threat.per_example(low + number * step).project(moved, part.x)
            size = part.threat.gauge(point, part.x)
            cost = (point - moved).flatten(1).square().sum(1) / 2 + weight * size
            better = cost < least
            answer, least = torch.where(expand(better, point), point, answer), torch.where(better, cost, least)
            best = torch.where(better, size, best)
        low, high = (best - step).clamp(min=0), best + step
    return answer
