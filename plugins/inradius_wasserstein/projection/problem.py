"""The projection problem in units in which prices and moved masses are about 1."""

import math

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.plans.plans import Plans, plans_from
from inradius_wasserstein.set.moves import Moves


def wide(values: Tensor) -> Tensor:
    """One number an example against plans, (B,) -> (B, 1, 1, 1)."""
    return values[:, None, None, None]


@attrs.frozen(eq=False)
class Problem:
    """min ½ q‖d‖² − ⟨pull, d⟩ over changes d = Pᵀ1 − x of plans P ≥ 0 with P1 = x, ⟨C, P⟩ ≤ budget and d ≤ room.

    pull (B, C, n): the wished change over its largest entry; curvature (B,): q ≤ 1; budget (B,); room (B, C, n), inf without
    a cap, where ``capped`` is False; unit (B,): the mass that counts as 1; worth (B,): what the objective has to be multiplied by.
    """

    plans: Plans
    pull: Tensor
    curvature: Tensor
    budget: Tensor
    room: Tensor
    unit: Tensor
    worth: Tensor
    capped: Tensor = attrs.field(default=attrs.Factory(lambda self: self.room.isfinite(), takes_self=True))

    def residual(self, change: Tensor) -> Tensor:
        """The pull that is left after a change, (B, C, n)."""
        return self.pull - self.curvature[:, None, None] * change

    def take(self, rows: Tensor) -> "Problem":
        """The problems of some examples."""
        rest = (getattr(self, field.name)[rows] for field in attrs.fields(Problem)[1:])
        return Problem(self.plans.take(rows), *rest)

    def to(self, dtype: torch.dtype) -> "Problem":
        """The problems in another precision."""
        numbers = ("pull", "curvature", "budget", "room", "unit", "worth")
        return attrs.evolve(
            self, plans=self.plans.to(dtype), **{name: getattr(self, name).to(dtype) for name in numbers}
        )


def problem(delta: Tensor, x: Tensor, moves: Moves, budget: Tensor, cap: float | None) -> Problem:
    """The problem for double precision ``delta`` and ``x`` (B, C, H, W)."""
    mass, wish = x.flatten(2), delta.flatten(2)
    strength = wish.flatten(1).abs().amax(1)
    heaviest = mass.flatten(1).amax(1)
    affordable = budget.isfinite() & (budget > 0) & (budget < heaviest)
    unit = torch.minimum(torch.minimum(strength, heaviest), torch.where(affordable, budget, torch.inf))
    allowed = _allowed(moves, mass, budget)
    # what weighs less than rounding error of a unit stays where it is
    plans = plans_from(torch.where(mass > 1e-16 * unit[:, None, None], mass, 0), moves, allowed)
    room = torch.full_like(plans.real, math.inf, dtype=mass.dtype)
    if cap is not None:
        room = torch.where(plans.real, (cap - plans.pick(mass)).clamp_min(0) / unit[:, None, None], math.inf)
    plans = attrs.evolve(plans, mass=plans.mass / unit[:, None, None])
    dearest = (plans.mass * plans.cost.amax(-1)).flatten(1).sum(1)
    return Problem(
        plans=plans,
        pull=plans.pick(wish) / strength[:, None, None],
        curvature=unit / strength,
        # more than the dearest plan costs changes nothing
        budget=torch.where(budget > 0, torch.minimum(budget / unit, 1 + dearest), 1),
        room=room,
        unit=unit,
        worth=unit * strength,
    )


def _allowed(moves: Moves, mass: Tensor, budget: Tensor) -> Tensor:
    """The moves of each example's pixels that its budget lets happen at all, (B, C, H·W, m)."""
    affordable = (moves.cost <= 0) | wide(budget > 0)
    return (moves.valid & affordable).expand(*mass.shape, moves.cost.shape[1])


def highest_price(problem: Problem) -> Tensor:
    """A price of the budget at which no move pays, (B,)."""
    plans = problem.plans
    gain = plans.at(problem.pull) - problem.pull.gather(-1, plans.home).unsqueeze(-1)
    return 1e-3 + 1.1 * torch.where(plans.cost > 0, gain / plans.cost, 0).flatten(1).amax(1)


def reduced_costs(problem: Problem, change: Tensor, price: Tensor, toll: Tensor) -> Tensor:
    """What each move loses at the prices against the best move of its source, ≥ 0, (B, C, S, m)."""
    plans = problem.plans
    loss = wide(price) * plans.cost - plans.at(problem.residual(change) - toll)
    loss = loss - torch.where(plans.allowed, loss, torch.inf).amin(-1, keepdim=True)
    return torch.where(plans.allowed, loss, 0)


def duality_gap(problem: Problem, plan: Tensor, price: Tensor, toll: Tensor) -> Tensor:
    """How far the plan is at most from the least objective; prices of the budget and the caps are any numbers ≥ 0, (B,).

    The gap is ⟨δ − d, v − d⟩ at the best v of the dual, a sum of terms ≥ 0: unused budget, unused room, and moves that are
    worse than others.
    """
    plans = problem.plans
    change = plans.change(plan)
    loss = reduced_costs(problem, change, price, toll)
    room = torch.where(problem.capped, problem.room - change, 0)
    return (
        (plan * loss).flatten(1).sum(1)
        + price * (problem.budget - plans.price(plan)).abs()
        + (toll * room.abs()).flatten(1).sum(1)
    )
