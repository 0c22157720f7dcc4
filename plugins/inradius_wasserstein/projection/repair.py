"""Plans that miss their constraints a little are pulled back into the ball."""

import torch
from torch import Tensor

from inradius_wasserstein.projection.problem import Problem, wide

# Each sweep sends back what is above the cap; what is left after them is settled by shrinking the whole change.
_SWEEPS = 100


def repair(problem: Problem, plan: Tensor) -> Tensor:
    """A plan of the ball near the given one: rows of the sources' mass, budget and cap kept, (B, C, S, m)."""
    plans = problem.plans
    moved = torch.where(plans.allowed, plan, 0).nan_to_num(0, 0, 0).clamp_min(0)
    moved[..., 0] = 0
    moved = moved * _share(plans.mass, moved.sum(-1)).unsqueeze(-1)
    moved = moved * wide(_share(problem.budget, plans.price(moved)))
    if bool(problem.capped.any()):
        moved = _below_cap(problem, moved)
    return _with_stays(problem, moved)


def _share(allowed: Tensor, wanted: Tensor) -> Tensor:
    return (allowed / wanted.clamp_min(torch.finfo(wanted.dtype).tiny)).clamp_max(1)


def _with_stays(problem: Problem, moved: Tensor) -> Tensor:
    stays = (problem.plans.mass - moved[..., 1:].sum(-1)).clamp_min(0)
    return torch.cat([stays.unsqueeze(-1), moved[..., 1:]], -1)


def _below_cap(problem: Problem, moved: Tensor) -> Tensor:
    """Sends the mass that overfills a pixel back to where it came from."""
    plans = problem.plans
    tolerance = 4 * torch.finfo(moved.dtype).eps * (1 + plans.mass.flatten(1).amax(1))[:, None, None]
    for _ in range(_SWEEPS):
        over = plans.change(moved) - problem.room
        if not bool((over > tolerance).any()):
            return moved
        arriving = plans.into(moved)
        moved = moved * plans.at(_share((arriving - over).clamp_min(0), torch.where(over > 0, arriving, 0)))
    change = plans.change(moved)
    fits = torch.where(change > problem.room, problem.room / change, 1)
    return moved * wide(fits.flatten(1).amin(1))
