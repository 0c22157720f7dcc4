"""Entropy-regularised transport plans, and the dual price of the budget."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.projection.scaled_problem import ScaledProblem, over_moves, per_example

# The thesis's λ for MNIST (wong2020, sec. 5.2), the weight 1/γ of the objective against the entropy of an image of
# mass 1.
STRENGTH = 1000.0

_HALVINGS = 12


@attrs.frozen(eq=False)
class SoftPlan:
    """The plan P = x · softmax((b − ψ C) / γ) of prices b and ψ, (B, C, S, m), with three sums (B,).

    value: Σ x γ log Σ exp((b − ψ C) / γ); cost: ⟨C, P⟩; slope: the derivative of the cost in ψ.
    """

    plan: Tensor
    value: Tensor
    cost: Tensor
    slope: Tensor


def temperature(problem: ScaledProblem, strength: float) -> Tensor:
    """γ in the problem's units, (B,). ``strength`` is λ, for images of mass 1."""
    mass = per_example(problem.layout.mass) * problem.unit
    return mass * problem.unit / (strength * problem.objective_unit)


def soften(problem: ScaledProblem, pixel: Tensor, price: Tensor, gamma: Tensor) -> SoftPlan:
    """The entropy-regularised plan P = x · softmax((b − ψ C) / γ), (B, C, S, m), with its sums, as a ``SoftPlan``.

    pixel: the dual prices b (B, C, n). price: ψ (B,). gamma: the temperature γ (B,).
    """
    layout = problem.layout
    heat = over_moves(gamma)
    level = (layout.at(pixel) - over_moves(price) * layout.cost) / heat
    level = torch.where(layout.allowed, level, -torch.inf)
    top = level.amax(-1, keepdim=True).nan_to_num(0, 0, 0)
    share = (level - top).exp()
    total = share.sum(-1, keepdim=True).clamp_min(1)
    share = share / total
    mean = (share * layout.cost).sum(-1)
    spread = (share * (layout.cost - mean.unsqueeze(-1)).square()).sum(-1)
    row = (heat * (top + total.log())).squeeze(-1)
    sums = [per_example(layout.mass * values) for values in (row, mean, spread)]
    return SoftPlan(layout.mass.unsqueeze(-1) * share, sums[0], sums[1], -sums[2] / gamma)


def priced(
    problem: ScaledProblem, pixel: Tensor, price: Tensor, gamma: Tensor, soft: SoftPlan
) -> tuple[Tensor, SoftPlan]:
    """The budget's price ψ (B,) after one damped Newton step on ψ · budget + Σ x γ log Σ exp((b − ψ C) / γ), and its plan.

    The step is halved, at most 12 times, until the function does not increase; else ψ stays. ``soft`` is the plan at ``price``.
    The row prices of the thesis are at their optimum for every ψ tried, so ψ is the only variable.
    """
    gradient = problem.budget - soft.cost
    value = price * problem.budget + soft.value
    newton = gradient / soft.slope.clamp_max(-torch.finfo(price.dtype).tiny)
    length = torch.ones_like(price)
    for _ in range(_HALVINGS):
        trial = (price + length * newton).clamp_min(0).minimum(2 * price + 1)
        found = soften(problem, pixel, trial, gamma)
        worse = trial * problem.budget + found.value > value + 1e-14 * value.abs()
        if not bool(worse.any()):
            return trial, found
        length = torch.where(worse, length / 2, length)
    stays = torch.where(worse, price, trial)
    return stays, soften(problem, pixel, stays, gamma)
