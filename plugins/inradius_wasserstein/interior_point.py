"""Euclidean projection on a Wasserstein ball by a primal-dual interior point, exact to rounding."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.central_path import Point, first_point, next_point, residuals
from inradius_wasserstein.moves import Moves
from inradius_wasserstein.panels import panels
from inradius_wasserstein.problem import Problem, duality_gap
from inradius_wasserstein.projected import Projected, by_chunks
from inradius_wasserstein.repair import repair

# Examples end after 9 to 25 steps; the rest lose nothing but time.
_STEPS = 60
# The gap at which the distance has ten digits, as a share of what the pull is worth.
_TOLERANCE = 1e-10
# An example whose gap has not shrunk for so many steps has all the digits that its numbers have.
_PATIENCE = 8
# The share of examples still going at which the others are left out.
_THIN = 0.8


def nearest(delta: Tensor, x: Tensor, moves: Moves, budget: Tensor, cap: float | None) -> Projected:
    """argmin ½‖d − δ‖² over the changes d = Pᵀ1 − x of plans P ≥ 0, P1 = x, ⟨C, P⟩ ≤ budget, x + d ≤ cap, (B, C, H, W).

    The answer lies in the ball, whatever the accuracy; ``gap`` (B,) bounds what it is worse than the nearest point.
    Source: mehrotra1992.
    """
    return by_chunks(_solve, delta, x, moves, budget, cap)


def _solve(task: Problem) -> tuple[Tensor, Tensor]:
    task = _within_reach(task)
    plan, price, toll = shortest(task)
    plan = repair(task, plan)
    return task.plans.change(plan), duality_gap(task, plan, price, toll)


def _within_reach(task: Problem) -> Problem:
    """The problem without mass, budget and caps that no nearest point meets, which would only be large numbers.

    ‖d‖ ≤ ‖δ‖, so that a nearest plan without cycles consists of paths of total mass ½‖d‖₁ ≤ ½√n‖δ‖, each of which passes a
    pixel at most once.
    """
    pixels = task.plans.real.flatten(1).sum(1)
    wish: Tensor = torch.linalg.vector_norm(task.pull.flatten(1), dim=1) / task.curvature
    flow = 1 + 0.5 * pixels.sqrt() * wish
    dearest = task.plans.cost.flatten(1).amax(1)
    plans = attrs.evolve(task.plans, mass=torch.minimum(task.plans.mass, flow[:, None, None]))
    budget = torch.minimum(task.budget, 1 + flow * pixels * dearest)
    room = torch.where(task.room > 1 + wish[:, None, None], torch.inf, task.room)
    return attrs.evolve(task, plans=plans, budget=budget, room=room, capped=room.isfinite())


def shortest(task: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """The best plan of the path (B, C, S, m) with the budget's price (B,) and the caps' tolls (B, C, n)."""
    point, parts = first_point(task), panels(task.plans)
    best = [point.plan.clone(), point.price.clone(), point.toll.clone()]
    rows = torch.arange(len(point.price), device=point.price.device)
    merit, since = torch.full_like(point.price, torch.inf), torch.zeros_like(rows)
    total = merit.clone()
    going = torch.ones_like(rows, dtype=torch.bool)
    for _ in range(_STEPS):
        missing = residuals(task, point)
        better = going & (missing.merit < merit)
        _keep(best, rows, point, better)
        progress = (missing.merit < 0.95 * merit) | (missing.total < 0.9 * total)
        since, total = torch.where(progress, 0, since + 1), torch.minimum(total, missing.total)
        merit = torch.where(better, missing.merit, merit)
        going = going & (merit > _TOLERANCE * missing.worth) & (since < _PATIENCE) & missing.merit.isfinite()
        if not bool(going.any()):
            break
        if int(going.sum()) <= _THIN * len(going):
            task, point, missing = task.take(going), point.take(going), missing.take(going)
            parts = [part.take(going) for part in parts]
            rows, merit, total, since = rows[going], merit[going], total[going], since[going]
            going = going[going]
        point = next_point(task, parts, point, missing)
    return best[0], best[1], best[2]


def _keep(best: list[Tensor], rows: Tensor, point: Point, better: Tensor) -> None:
    whole = bool(better.all()) and len(rows) == len(best[0])
    for kept, new in zip(best, (point.plan, point.price, point.toll), strict=True):
        if whole:
            kept.copy_(new)
        else:
            kept[rows[better]] = new[better]
