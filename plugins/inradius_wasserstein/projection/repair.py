"""Repair of plans that miss their constraints a little."""

import torch
from torch import Tensor

from inradius_wasserstein.projection.scaled_problem import ScaledProblem, over_moves

# Each sweep sends back the mass above the cap. After the last sweep the whole change is shrunk.
_SWEEPS = 100


def repair(problem: ScaledProblem, plan: Tensor) -> Tensor:
    """A plan of the ball near the given one, (B, C, S, m). It keeps the rows of the sources' mass, the budget and the cap."""
    layout = problem.layout
    moved = torch.where(layout.allowed, plan, 0).nan_to_num(0, 0, 0).clamp_min(0)
    moved[..., 0] = 0
    moved = moved * _share(layout.mass, moved.sum(-1)).unsqueeze(-1)
    moved = moved * over_moves(_share(problem.budget, layout.price(moved)))
    if bool(problem.has_cap.any()):
        moved = _below_cap(problem, moved)
    return _with_stays(problem, moved)


def _share(allowed: Tensor, wanted: Tensor) -> Tensor:
    return (allowed / wanted.clamp_min(torch.finfo(wanted.dtype).tiny)).clamp_max(1)


def _with_stays(problem: ScaledProblem, moved: Tensor) -> Tensor:
    stays = (problem.layout.mass - moved[..., 1:].sum(-1)).clamp_min(0)
    return torch.cat([stays.unsqueeze(-1), moved[..., 1:]], -1)


def _below_cap(problem: ScaledProblem, moved: Tensor) -> Tensor:
    """The moves without the mass that overfills a pixel; this mass returns to its source."""
    layout = problem.layout
    tolerance = 4 * torch.finfo(moved.dtype).eps * (1 + layout.mass.flatten(1).amax(1))[:, None, None]
    for _ in range(_SWEEPS):
        over = layout.change(moved) - problem.room
        if not bool((over > tolerance).any()):
            return moved
        arriving = layout.into(moved)
        moved = moved * layout.at(_share((arriving - over).clamp_min(0), torch.where(over > 0, arriving, 0)))
    change = layout.change(moved)
    fits = torch.where(change > problem.room, problem.room / change, 1)
    return moved * over_moves(fits.flatten(1).amin(1))
