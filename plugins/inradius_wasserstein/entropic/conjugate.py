"""Conjugate Sinkhorn: the support function of a Wasserstein ball, smoothed by an entropy of the plan."""

from typing import TYPE_CHECKING

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.entropic.entropy import STRENGTH, soften
from inradius_wasserstein.projection.repair import repair
from inradius_wasserstein.projection.scaled_problem import (
    ScaledProblem,
    highest_price,
    over_moves,
    over_pixels,
    per_example,
    scaled_problem,
)
from inradius_wasserstein.set.moves import PixelMoves

if TYPE_CHECKING:
    from inradius_wasserstein.set.oracles import TransportBall

# The default of Wong et al.'s code (wong2019).
ITERATIONS = 50


@attrs.frozen(eq=False)
class Conjugate:
    """A point of the ball (B, C, H, W), and an upper bound on ⟨c, δ⟩ over the ball, (B,)."""

    delta: Tensor
    bound: Tensor


def conjugate_sinkhorn(
    c: Tensor, x: Tensor, threat: "TransportBall", *, strength: float = STRENGTH, iterations: int = ITERATIONS
) -> Conjugate:
    """A point of the ball with a large ⟨c, δ⟩, (B, C, H, W), and an upper bound on ⟨c, δ⟩ over the ball, (B,).

    The point maximises ⟨c, δ⟩ + the plan's entropy / λ and is repaired into the ball. ``strength`` is λ, for images of
    mass 1. The bound is the exact dual at the price found, so it holds for every λ and any number of iterations. The
    point keeps a cap of the pixels; the bound ignores it. The set's own ``support`` and ``linear_max`` are exact and
    faster.
    Source: wong2019, section 5.1.6 of the thesis (wong2020).
    """
    x = x.double()
    moves, budget, cap = threat.ball.moves(x), threat.budgets(x), threat.ball.cap
    wish, mass, spend = c.double(), x, budget.double()
    delta, bound = torch.zeros_like(wish), torch.zeros_like(spend)
    rows = ((wish != 0).flatten(1).any(1) & (mass > 0).flatten(1).any(1) & (spend > 0)).nonzero().squeeze(1)
    if len(rows):
        delta[rows], bound[rows] = _solve(wish[rows], mass[rows], moves, spend[rows], cap, strength, iterations)
    return Conjugate(delta.to(c.dtype), bound.to(c.dtype))


def _solve(
    c: Tensor, x: Tensor, moves: PixelMoves, budget: Tensor, cap: float | None, strength: float, iterations: int
) -> tuple[Tensor, Tensor]:
    task = scaled_problem(c, x, moves, budget, cap)
    gamma = task.unit / (strength * task.objective_unit)
    price, plan = _priced(task, gamma, iterations)
    change = task.layout.change(repair(task, plan)) * over_pixels(task.unit)
    return task.layout.spread(change, x[0, 0].numel()).view_as(x), _bound(task, price) * task.objective_unit


def _priced(task: ScaledProblem, gamma: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """The budget's price at which the softened plan spends the budget, or 0, and that plan.

    Newton's method within a bracket: for large λ the plan changes in jumps, where only bisection is safe.
    """
    low, high = torch.zeros_like(gamma), highest_price(task)
    price = torch.zeros_like(gamma)
    soft = soften(task, task.pull, price, gamma)
    for _ in range(iterations):
        affordable = soft.cost <= task.budget
        low, high = torch.where(affordable, low, price), torch.where(affordable, price, high)
        newton = price - (task.budget - soft.cost) / soft.slope.clamp_max(-torch.finfo(price.dtype).tiny)
        inside = (newton > low) & (newton < high)
        price = torch.where(inside, newton, (low + high) / 2)
        soft = soften(task, task.pull, price, gamma)
        if bool((high - low <= 1e-12 * high).all()):
            break
    return price, soft.plan


def _bound(task: ScaledProblem, price: Tensor) -> Tensor:
    """ψ E + Σ x max_j (c_j − c_i − ψ C), the exact dual at a price ψ, (B,)."""
    layout = task.layout
    here = task.pull.gather(-1, layout.home).unsqueeze(-1)
    gain = torch.where(layout.allowed, layout.at(task.pull) - here - over_moves(price) * layout.cost, 0).amax(-1)
    return price * task.budget + per_example(layout.mass * gain)
