"""Points of the central path: plans, prices and slacks, and the first of them."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.projection.scaled_problem import (
    ScaledProblem,
    highest_price,
    over_moves,
    over_pixels,
    per_example,
)

# The share of the budget that the first plan spends: the plan is well inside, with moves already near the budget.
_FIRST = 0.9


@attrs.frozen(eq=False)
class PathPoint:
    """A point of the path, or a direction with the same fields.

    plan P (B, C, S, m); loss: its reduced costs s (B, C, S, m); source: the row prices α (B, C, S); price: ψ of the
    budget (B,); spare: the unspent budget t (B,); room: the unused room u of the caps (B, C, n); cap_price: the prices
    ν of the caps (B, C, n). In a point, P, s, ψ, t, u and ν are > 0.
    """

    plan: Tensor
    loss: Tensor
    source: Tensor
    price: Tensor
    spare: Tensor
    room: Tensor
    cap_price: Tensor

    def moved(self, step: "PathPoint", length: Tensor) -> "PathPoint":
        """The point after ``length`` (B,) of the step."""
        mine, theirs = attrs.astuple(self, recurse=False), attrs.astuple(step, recurse=False)
        return PathPoint(*(a + b * length.view(-1, *[1] * (a.ndim - 1)) for a, b in zip(mine, theirs, strict=True)))

    def take(self, rows: Tensor) -> "PathPoint":
        """The points of some examples."""
        return PathPoint(*(value[rows] for value in attrs.astuple(self, recurse=False)))

    def where(self, chosen: Tensor, other: "PathPoint") -> "PathPoint":
        """These points for the chosen examples, (B,), and the other points for the rest."""
        mine, theirs = attrs.astuple(self, recurse=False), attrs.astuple(other, recurse=False)
        return PathPoint(
            *(torch.where(chosen.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in zip(mine, theirs, strict=True))
        )

    def put(self, rows: Tensor, other: "PathPoint") -> None:
        """Writes other points into some rows."""
        for mine, theirs in zip(attrs.astuple(self, recurse=False), attrs.astuple(other, recurse=False), strict=True):
            mine[rows] = theirs

    def copied(self) -> "PathPoint":
        """A copy that may be written to."""
        return PathPoint(*(value.clone() for value in attrs.astuple(self, recurse=False)))

    def to(self, dtype: torch.dtype) -> "PathPoint":
        """The points in another precision."""
        return PathPoint(*(value.to(dtype) for value in attrs.astuple(self, recurse=False)))

    def only(self, kept: Tensor, real: Tensor) -> "PathPoint":
        """The points of the kept moves.

        kept (B, C, S, k): the places of the kept moves. real (B, C, S, k): False for padding.
        """
        plan, loss = (
            torch.where(real, value.gather(-1, kept), rest) for value, rest in ((self.plan, 0), (self.loss, 1))
        )
        return attrs.evolve(self, plan=plan, loss=loss)


def first_point(problem: ScaledProblem) -> PathPoint:
    """A point near the path whose plan almost spends the budget. At its price every pixel would keep its mass."""
    layout = problem.layout
    here = problem.pull.gather(-1, layout.home)
    gain = layout.at(problem.pull) - here.unsqueeze(-1)
    paid, price = layout.cost > 0, highest_price(problem)
    # no price of the budget prevents a free move
    loss = torch.where(paid, over_moves(price) * layout.cost - gain, 1)
    leaves = layout.allowed.clone()
    leaves[..., 0] = False
    size = torch.where(leaves, 1 / loss, 0)
    centre = _FIRST * problem.budget / (per_example(layout.cost * size) + 1 / price)
    half = 0.5 * layout.mass
    centre = torch.minimum(centre, per_example(half) / per_example(size).clamp_min(1e-30)).clamp_min(1e-300)
    plan = size * over_moves(centre)
    plan = plan * (half / plan.sum(-1).clamp_min(1e-30)).clamp_max(1).unsqueeze(-1)
    stays = layout.mass - plan.sum(-1)
    plan[..., 0] = stays
    rest = torch.where(stays > 0, over_pixels(centre) / stays.clamp_min(1e-30), 1)
    loss = torch.where(leaves, loss + rest.unsqueeze(-1), 1)
    loss[..., 0] = rest
    spare = torch.maximum(problem.budget - layout.price(plan), centre / price)
    room = torch.where(problem.has_cap, (problem.room - layout.change(plan)).clamp_min(0.1), 1)
    cap_price = torch.where(problem.has_cap, over_pixels(centre) / room, 0)
    return PathPoint(plan, loss, -here - rest, price, spare, room, cap_price)
