"""The amounts by which a point of the path misses the constraints and the conditions of optimality."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.projection.path_point import PathPoint
from inradius_wasserstein.projection.scaled_problem import ScaledProblem, over_moves, per_example


@attrs.frozen(eq=False)
class Residuals:
    """The errors of a point in its reduced costs, rows, budget and room, and its distance from the optimum.

    total, mean: the sum and the mean of the products of slacks. merit: the duality gap plus the value of the missed
    constraints. gap_scale: the number with which a gap is compared.
    """

    loss: Tensor
    rows: Tensor
    spare: Tensor
    room: Tensor
    total: Tensor
    mean: Tensor
    merit: Tensor
    gap_scale: Tensor

    def take(self, rows: Tensor) -> "Residuals":
        """The residuals of some examples."""
        return Residuals(*(value[rows] for value in attrs.astuple(self, recurse=False)))


def residuals(problem: ScaledProblem, point: PathPoint, inside: float) -> Residuals:
    """The residuals of the point; ``inside`` is a parameter of ``gap_scale``."""
    layout = problem.layout
    change = layout.change(point.plan)
    offered = over_moves(point.price) * layout.cost - layout.at(problem.residual(change) - point.cap_price)
    lost = offered - (offered + layout.barrier).amin(-1, keepdim=True)
    free = problem.budget - layout.price(point.plan)
    left = torch.where(problem.has_cap, problem.room - change, 0)
    rows = layout.mass - point.plan.sum(-1)
    total = per_example(point.plan * point.loss) + point.spare * point.price + per_example(point.room * point.cap_price)
    products = per_example(layout.allowed) + per_example(problem.has_cap) + 1
    gap = per_example(point.plan * lost) + point.price * free.abs()
    missed = 2 * (per_example(rows.abs()) + per_example((-left).clamp_min(0)))
    return Residuals(
        loss=offered - point.source.unsqueeze(-1) - point.loss,
        rows=rows,
        spare=free - point.spare,
        room=torch.where(problem.has_cap, left - point.room, 0),
        total=total,
        mean=total / products,
        merit=gap + per_example(point.cap_price * left.abs()) + missed,
        gap_scale=gap_scale(problem, change, inside),
    )


def gap_scale(problem: ScaledProblem, change: Tensor, inside: float) -> Tensor:
    """The number with which a gap is compared, (B,).

    It is the distance ½‖δ − d‖², or ‖δ − d‖‖d‖ where δ is so far away that its distance says little about d. Where δ is
    almost in the ball, it is the share ``inside`` of ½‖d‖².
    """
    left: Tensor = torch.linalg.vector_norm(problem.residual(change).flatten(1), dim=1)
    moved: Tensor = torch.linalg.vector_norm(change.flatten(1), dim=1)
    distance = left * torch.minimum(0.5 * left / problem.curvature, moved)
    return torch.maximum(distance, 0.5 * inside * problem.curvature * moved.square())
