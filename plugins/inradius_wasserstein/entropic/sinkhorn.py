"""Projected Sinkhorn: the Euclidean projection on a Wasserstein ball, blurred by an entropy of the plan."""

import functools

import torch
from torch import Tensor

from inradius_wasserstein.entropic.entropy import STRENGTH, Soft, priced, soften, temperature
from inradius_wasserstein.entropic.lambert import lambert_w_exp
from inradius_wasserstein.projection.problem import Problem, duality_gap, wide
from inradius_wasserstein.projection.projected import Projected, by_chunks
from inradius_wasserstein.projection.repair import repair
from inradius_wasserstein.set.moves import Moves

# The default of Wong et al.'s code (wong2019).
ITERATIONS = 50
# An example ends when the dual's value grows by less than this share of the distance.
_TOLERANCE = 1e-7


def nearest(
    delta: Tensor,
    x: Tensor,
    moves: Moves,
    budget: Tensor,
    cap: float | None,
    *,
    strength: float = STRENGTH,
    iterations: int = ITERATIONS,
) -> Projected:
    """argmin ½‖d − δ‖² + Σ P log P / λ over the changes d = Pᵀ1 − x of the ball's plans, pulled back into it, (B, C, H, W).

    ``strength`` is λ, meant for images of mass 1. Alternates between the prices of the pixels (a Lambert W), of the rows (a
    softmax) and of the budget (a Newton step with line search), in logarithms: no λ overflows. An example stops by
    itself when its dual value no longer grows. ``gap`` is against the projection without entropy.
    Source: wong2019, Algorithm 8 of the thesis (wong2020).
    """
    solve = functools.partial(_solve, strength=strength, iterations=iterations)
    return by_chunks(solve, delta, x, moves, budget, cap)


def _solve(task: Problem, strength: float, iterations: int) -> tuple[Tensor, Tensor]:
    plan, price, pixel = _blurred(task, temperature(task, strength), iterations)
    toll = (task.residual(task.plans.change(plan)) - pixel).clamp_min(0)
    plan = repair(task, plan)
    return task.plans.change(plan), duality_gap(task, plan, price, torch.where(task.capped, toll, 0))


def _blurred(task: Problem, gamma: Tensor, iterations: int) -> tuple[Tensor, Tensor, Tensor]:
    """The plan, the budget's price and the pixels' prices after block ascent."""
    pixel, price = task.pull, torch.ones_like(gamma)
    soft = soften(task, pixel, price, gamma)
    value, going = torch.full_like(gamma, -torch.inf), torch.ones_like(gamma, dtype=torch.bool)
    for _ in range(iterations):
        wanted = _pixel_prices(task, pixel, soft, gamma)
        next_price, found = priced(task, wanted, price, gamma, soften(task, wanted, price, gamma))
        now = _dual(task, wanted, next_price, found)
        pixel = torch.where(going[:, None, None], wanted, pixel)
        price = torch.where(going, next_price, price)
        soft = Soft(torch.where(wide(going), found.plan, soft.plan), *_chosen(going, found, soft))
        change = task.plans.change(soft.plan)
        size = 0.5 * task.residual(change).square().flatten(1).sum(1) / task.curvature
        going = going & (now - value > _TOLERANCE * size)
        value = now
        if not bool(going.any()):
            break
    return soft.plan, price, pixel


def _chosen(going: Tensor, new: Soft, old: Soft) -> tuple[Tensor, Tensor, Tensor]:
    worth, cost = torch.where(going, new.worth, old.worth), torch.where(going, new.cost, old.cost)
    return worth, cost, torch.where(going, new.slope, old.slope)


def _pixel_prices(task: Problem, pixel: Tensor, soft: Soft, gamma: Tensor) -> Tensor:
    """The b with b = pull − q (z − x) where z = Σ_i exp((α_i + b − ψ C) / γ), or z = cap where that is less.

    With A = Σ_i exp((α_i − ψ C) / γ) the mass z solves q z / γ = W(q A / γ · exp((pull + q x) / γ)).
    """
    plans, heat = task.plans, gamma[:, None, None]
    resistance = task.curvature[:, None, None]
    here = torch.zeros_like(pixel).scatter_add_(-1, plans.home, plans.mass)
    share = plans.into(soft.plan).clamp_min(torch.finfo(pixel.dtype).tiny).log() - pixel / heat
    rest = task.pull + resistance * here
    mass = lambert_w_exp((resistance / heat).log() + share + rest / heat) * heat / resistance
    full = here + task.room
    capped = heat * (full.clamp_min(torch.finfo(pixel.dtype).tiny).log() - share)
    return torch.where(mass > full, capped, rest - resistance * mass)


def _dual(task: Problem, pixel: Tensor, price: Tensor, soft: Soft) -> Tensor:
    """The value of the dual at prices b and ψ with the best row prices, (B,)."""
    here = (task.pull - pixel) / task.curvature[:, None, None]
    change = torch.minimum(here, task.room)
    pull = (task.pull - pixel) * change - 0.5 * task.curvature[:, None, None] * change.square()
    stays = torch.zeros_like(pixel).scatter_add_(-1, task.plans.home, task.plans.mass)
    return (pixel * stays - pull).flatten(1).sum(1) - soft.worth - price * task.budget
