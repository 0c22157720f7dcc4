"""The projection problem, scaled so that prices and moved masses are near 1."""

import math

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.plans.layout import PlanLayout, layout_from
from inradius_wasserstein.set.moves import PixelMoves


def per_example(values: Tensor) -> Tensor:
    """The sum over everything of an example, (B, ...) -> (B,)."""
    return values.flatten(1).sum(1)


def over_moves(values: Tensor) -> Tensor:
    """One number an example, in a shape that broadcasts against plans, (B,) -> (B, 1, 1, 1)."""
    return values[:, None, None, None]


def over_pixels(values: Tensor) -> Tensor:
    """One number an example, in a shape that broadcasts against pixels, (B,) -> (B, 1, 1)."""
    return values[:, None, None]


@attrs.frozen(eq=False)
class ScaledProblem:
    """min ½ q‖d‖² − ⟨pull, d⟩ over changes d = Pᵀ1 − x of plans P ≥ 0 with P1 = x, ⟨C, P⟩ ≤ budget and d ≤ room.

    A plan P is (B, C, S, m), for the S sources of each channel and their m moves, and d is (B, C, n), for the n pixels that
    moves reach (see ``PlanLayout``).
    pull (B, C, n): the wished change divided by its largest entry; curvature (B,): q ≤ 1; budget (B,); room (B, C, n):
    inf without a cap; has_cap (B, C, n): False where room is inf; unit (B,): the mass that counts as 1; objective_unit
    (B,): the factor from this objective to that of the original problem.
    """

    layout: PlanLayout
    pull: Tensor
    curvature: Tensor
    budget: Tensor
    room: Tensor
    unit: Tensor
    objective_unit: Tensor
    has_cap: Tensor = attrs.field(default=attrs.Factory(lambda self: self.room.isfinite(), takes_self=True))

    def residual(self, change: Tensor) -> Tensor:
        """The pull that is left after a change, (B, C, n)."""
        return self.pull - over_pixels(self.curvature) * change

    def take(self, rows: Tensor) -> "ScaledProblem":
        """The problems of some examples."""
        rest = (getattr(self, field.name)[rows] for field in attrs.fields(ScaledProblem)[1:])
        return ScaledProblem(self.layout.take(rows), *rest)

    def to(self, dtype: torch.dtype) -> "ScaledProblem":
        """The problems in another precision."""
        numbers = ("pull", "curvature", "budget", "room", "unit", "objective_unit")
        return attrs.evolve(
            self, layout=self.layout.to(dtype), **{name: getattr(self, name).to(dtype) for name in numbers}
        )


def scaled_problem(delta: Tensor, x: Tensor, moves: PixelMoves, budget: Tensor, cap: float | None) -> ScaledProblem:
    """The scaled problem for double precision ``delta`` and ``x`` (B, C, H, W)."""
    mass, wish = x.flatten(2), delta.flatten(2)
    strength = wish.flatten(1).abs().amax(1)
    heaviest = mass.flatten(1).amax(1)
    affordable = budget.isfinite() & (budget > 0) & (budget < heaviest)
    unit = torch.minimum(torch.minimum(strength, heaviest), torch.where(affordable, budget, torch.inf))
    allowed = _allowed(moves, mass, budget)
    # mass below the rounding error of a unit stays in its place
    layout = layout_from(torch.where(mass > 1e-16 * over_pixels(unit), mass, 0), moves, allowed)
    room = torch.full_like(layout.real, math.inf, dtype=mass.dtype)
    if cap is not None:
        room = torch.where(layout.real, (cap - layout.pick(mass)).clamp_min(0) / over_pixels(unit), math.inf)
    layout = attrs.evolve(layout, mass=layout.mass / over_pixels(unit))
    dearest = per_example(layout.mass * layout.cost.amax(-1))
    return ScaledProblem(
        layout=layout,
        pull=layout.pick(wish) / over_pixels(strength),
        curvature=unit / strength,
        # a budget above the cost of the dearest plan changes nothing
        budget=torch.where(budget > 0, torch.minimum(budget / unit, 1 + dearest), 1),
        room=room,
        unit=unit,
        objective_unit=unit * strength,
    )


def _allowed(moves: PixelMoves, mass: Tensor, budget: Tensor) -> Tensor:
    """True for the valid moves that are free, and for all valid moves where the budget is > 0, (B, C, H·W, m)."""
    affordable = (moves.cost <= 0) | over_moves(budget > 0)
    return (moves.valid & affordable).expand(*mass.shape, moves.cost.shape[1])


def highest_price(problem: ScaledProblem) -> Tensor:
    """A price ψ of the budget, (B,), at which no move of positive cost improves on d = 0."""
    layout = problem.layout
    gain = layout.at(problem.pull) - problem.pull.gather(-1, layout.home).unsqueeze(-1)
    return 1e-3 + 1.1 * torch.where(layout.cost > 0, gain / layout.cost, 0).flatten(1).amax(1)


def reduced_costs(problem: ScaledProblem, change: Tensor, price: Tensor, cap_price: Tensor) -> Tensor:
    """The loss of each move at the prices against the best move of its source, ≥ 0, (B, C, S, m)."""
    layout = problem.layout
    loss = over_moves(price) * layout.cost - layout.at(problem.residual(change) - cap_price)
    loss = loss - torch.where(layout.allowed, loss, torch.inf).amin(-1, keepdim=True)
    return torch.where(layout.allowed, loss, 0)


def duality_gap(problem: ScaledProblem, plan: Tensor, price: Tensor, cap_price: Tensor) -> Tensor:
    """An upper bound on the plan's objective minus the least objective, (B,). The prices are any numbers ≥ 0.

    The gap is ⟨δ − d, v − d⟩ at the best v of the dual. It is a sum of terms ≥ 0: unused budget, unused room, and moves
    that are worse than others.
    """
    layout = problem.layout
    change = layout.change(plan)
    loss = reduced_costs(problem, change, price, cap_price)
    room = torch.where(problem.has_cap, problem.room - change, 0)
    return (
        per_example(plan * loss)
        + price * (problem.budget - layout.price(plan)).abs()
        + per_example(cap_price * room.abs())
    )
