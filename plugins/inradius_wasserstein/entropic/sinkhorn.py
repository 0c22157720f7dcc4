"""Projected Sinkhorn: the Euclidean projection on a Wasserstein ball, smoothed by an entropy of the plan."""

import functools

import torch
from torch import Tensor

from inradius_wasserstein.entropic.entropy import STRENGTH, SoftPlan, priced, soften, temperature
from inradius_wasserstein.entropic.lambert import lambert_w_exp
from inradius_wasserstein.projection.projected import ProjectedPoints, by_chunks
from inradius_wasserstein.projection.repair import repair
from inradius_wasserstein.projection.scaled_problem import (
    ScaledProblem,
    duality_gap,
    over_moves,
    over_pixels,
    per_example,
)
from inradius_wasserstein.set.moves import PixelMoves

# The default of Wong et al.'s code (wong2019).
ITERATIONS = 50
# An example ends when the dual's value grows by less than this share of the distance.
_TOLERANCE = 1e-7


def nearest(
    delta: Tensor,
    x: Tensor,
    moves: PixelMoves,
    budget: Tensor,
    cap: float | None,
    *,
    strength: float = STRENGTH,
    iterations: int = ITERATIONS,
) -> ProjectedPoints:
    """argmin ½‖d − δ‖² + Σ P log P / λ over the changes d = Pᵀ1 − x of the ball's plans, repaired into the ball, (B, C, H, W).

    ``strength`` is λ, for images of mass 1. The method alternates between the prices of the pixels (a Lambert W), of
    the rows (a softmax) and of the budget (a Newton step with line search). It works with logarithms, so no λ
    overflows. An example stops when its dual value no longer grows. ``gap`` is measured against the projection without
    entropy.
    Source: wong2019, Algorithm 8 of the thesis (wong2020).
    """
    solve = functools.partial(_solve, strength=strength, iterations=iterations)
    return by_chunks(solve, delta, x, moves, budget, cap)


def _solve(task: ScaledProblem, strength: float, iterations: int) -> tuple[Tensor, Tensor]:
    plan, price, pixel = _blurred(task, temperature(task, strength), iterations)
    cap_price = (task.residual(task.layout.change(plan)) - pixel).clamp_min(0)
    plan = repair(task, plan)
    return task.layout.change(plan), duality_gap(task, plan, price, torch.where(task.has_cap, cap_price, 0))


def _blurred(task: ScaledProblem, gamma: Tensor, iterations: int) -> tuple[Tensor, Tensor, Tensor]:
    """The plan, the budget's price and the pixels' prices after block ascent."""
    pixel, price = task.pull, torch.ones_like(gamma)
    soft = soften(task, pixel, price, gamma)
    value, going = torch.full_like(gamma, -torch.inf), torch.ones_like(gamma, dtype=torch.bool)
    for _ in range(iterations):
        wanted = _pixel_prices(task, pixel, soft, gamma)
        next_price, found = priced(task, wanted, price, gamma, soften(task, wanted, price, gamma))
        now = _dual(task, wanted, next_price, found)
        pixel = torch.where(over_pixels(going), wanted, pixel)
        price = torch.where(going, next_price, price)
        soft = SoftPlan(torch.where(over_moves(going), found.plan, soft.plan), *_chosen(going, found, soft))
        change = task.layout.change(soft.plan)
        size = 0.5 * per_example(task.residual(change).square()) / task.curvature
        going = going & (now - value > _TOLERANCE * size)
        value = now
        if not bool(going.any()):
            break
    return soft.plan, price, pixel


def _chosen(going: Tensor, new: SoftPlan, old: SoftPlan) -> tuple[Tensor, Tensor, Tensor]:
    value, cost = torch.where(going, new.value, old.value), torch.where(going, new.cost, old.cost)
    return value, cost, torch.where(going, new.slope, old.slope)


def _pixel_prices(task: ScaledProblem, pixel: Tensor, soft: SoftPlan, gamma: Tensor) -> Tensor:
    """The b with b = pull − q (z − x) where z = Σ_i exp((α_i + b − ψ C) / γ), or z = cap where that is less.

    With A = Σ_i exp((α_i − ψ C) / γ) the mass z solves q z / γ = W(q A / γ · exp((pull + q x) / γ)).
    """
    layout, heat = task.layout, over_pixels(gamma)
    resistance = over_pixels(task.curvature)
    here = torch.zeros_like(pixel).scatter_add_(-1, layout.home, layout.mass)
    share = layout.into(soft.plan).clamp_min(torch.finfo(pixel.dtype).tiny).log() - pixel / heat
    rest = task.pull + resistance * here
    mass = lambert_w_exp((resistance / heat).log() + share + rest / heat) * heat / resistance
    full = here + task.room
    at_cap = heat * (full.clamp_min(torch.finfo(pixel.dtype).tiny).log() - share)
    return torch.where(mass > full, at_cap, rest - resistance * mass)


def _dual(task: ScaledProblem, pixel: Tensor, price: Tensor, soft: SoftPlan) -> Tensor:
    """The value of the dual at prices b and ψ with the best row prices, (B,)."""
    here = (task.pull - pixel) / over_pixels(task.curvature)
    change = torch.minimum(here, task.room)
    pull = (task.pull - pixel) * change - 0.5 * over_pixels(task.curvature) * change.square()
    stays = torch.zeros_like(pixel).scatter_add_(-1, task.layout.home, task.layout.mass)
    return per_example(pixel * stays - pull) - soft.value - price * task.budget
