"""Plans whose rows are softened best moves, and the price of the budget that goes with them."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.projection.problem import Problem, wide

# The thesis's λ for MNIST (wong2020, sec. 5.2) is the strength 1/γ of the objective against the entropy of an image
# of mass 1.
STRENGTH = 1000.0

_HALVINGS = 12


@attrs.frozen(eq=False)
class Soft:
    """The plan P = x · softmax((b − ψ C) / γ) of prices b and ψ: P (B, C, S, m), Σ x γ log Σ exp, ⟨C, P⟩ and its slope (B,)."""

    plan: Tensor
    worth: Tensor
    cost: Tensor
    slope: Tensor


def temperature(problem: Problem, strength: float) -> Tensor:
    """γ in the problem's units: λ is meant for images of mass 1, ``strength`` = λ, (B,)."""
    mass = problem.plans.mass.flatten(1).sum(1) * problem.unit
    return mass * problem.unit / (strength * problem.worth)


def soften(problem: Problem, pixel: Tensor, price: Tensor, gamma: Tensor) -> Soft:
    """The softened plan of pixel prices b (B, C, n) and the budget's price ψ (B,)."""
    plans = problem.plans
    heat = wide(gamma)
    level = (plans.at(pixel) - wide(price) * plans.cost) / heat
    level = torch.where(plans.allowed, level, -torch.inf)
    top = level.amax(-1, keepdim=True).nan_to_num(0, 0, 0)
    share = (level - top).exp()
    total = share.sum(-1, keepdim=True).clamp_min(1)
    share = share / total
    mean = (share * plans.cost).sum(-1)
    spread = (share * (plans.cost - mean.unsqueeze(-1)).square()).sum(-1)
    row = (heat * (top + total.log())).squeeze(-1)
    sums = [(plans.mass * values).flatten(1).sum(1) for values in (row, mean, spread)]
    return Soft(plans.mass.unsqueeze(-1) * share, sums[0], sums[1], -sums[2] / gamma)


def priced(problem: Problem, pixel: Tensor, price: Tensor, gamma: Tensor, soft: Soft) -> tuple[Tensor, Soft]:
    """One Newton step for the budget's price on ψ E + Σ x γ log Σ exp((b − ψ C) / γ), halved until it descends.

    The row prices of the thesis are at their best for every ψ tried, which makes ψ the only variable.
    """
    gradient = problem.budget - soft.cost
    value = price * problem.budget + soft.worth
    newton = gradient / soft.slope.clamp_max(-torch.finfo(price.dtype).tiny)
    length = torch.ones_like(price)
    for _ in range(_HALVINGS):
        trial = (price + length * newton).clamp_min(0).minimum(2 * price + 1)
        found = soften(problem, pixel, trial, gamma)
        worse = trial * problem.budget + found.worth > value + 1e-14 * value.abs()
        if not bool(worse.any()):
            return trial, found
        length = torch.where(worse, length / 2, length)
    stays = torch.where(worse, price, trial)
    return stays, soften(problem, pixel, stays, gamma)
