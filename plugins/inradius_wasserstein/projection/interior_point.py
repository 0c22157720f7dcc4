"""Euclidean projection on a Wasserstein ball by a primal-dual interior point, exact up to rounding."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.plans.layout import PlanLayout
from inradius_wasserstein.projection.blocked_gram import BlockedGram, blocked_gram
from inradius_wasserstein.projection.move_pairs import MovePairs, has_few_pairs, move_pairs
from inradius_wasserstein.projection.path_following import Accuracy, follow_path
from inradius_wasserstein.projection.path_point import PathPoint, first_point
from inradius_wasserstein.projection.projected import ProjectedPoints, by_chunks
from inradius_wasserstein.projection.repair import repair
from inradius_wasserstein.projection.residuals import gap_scale
from inradius_wasserstein.projection.scaled_problem import ScaledProblem, duality_gap, over_pixels, per_example
from inradius_wasserstein.set.moves import PixelMoves

# With _EXACT the distance has nine digits; where δ is almost in the ball, the change has six. With _ROUGH all moves that
# matter are among the likeliest ones; single precision is enough for it.
_EXACT = Accuracy(1e-9, 1e-4)
_ROUGH = Accuracy(1e-2, 1e-2)
# Moves are kept up to this ratio of mass and reduced cost. All moves are kept where a source keeps more than a few.
_UNLIKELY = 0.05
_FEW, _SHARE = 16, 4
# The most pairs for each source that are added up one by one.
_PAIRS = 100


def nearest(delta: Tensor, x: Tensor, moves: PixelMoves, budget: Tensor, cap: float | None) -> ProjectedPoints:
    """argmin ½‖d − δ‖² over the changes d = Pᵀ1 − x of plans P ≥ 0, P1 = x, ⟨C, P⟩ ≤ budget, x + d ≤ cap, (B, C, H, W).

    The answer always lies in the ball. ``gap`` (B,) bounds by how much its objective exceeds that of the nearest point.
    Source: mehrotra1992.
    """
    return by_chunks(_solve, delta, x, moves, budget, cap)


def _solve(task: ScaledProblem) -> tuple[Tensor, Tensor]:
    task = _within_reach(task)
    quick = task.to(torch.float32)
    rough = follow_path(quick, first_point(quick), _gram(quick.layout), _ROUGH)
    near = rough.point.to(task.pull.dtype)
    kept, real, enough = _likely(task, near)
    some = attrs.evolve(task, layout=task.layout.only(kept, real))
    exact = follow_path(some, near.only(kept, real), _gram(some.layout), _EXACT, rough.done & enough)
    plan = torch.zeros_like(near.plan).scatter_(-1, kept, exact.point.plan)
    found = _Answer.of(task, plan, exact.point.price, exact.point.cap_price)
    left = ~(exact.done & (found.gap <= 2 * _EXACT.tolerance * gap_scale(task, found.change, _EXACT.inside)))
    if bool(left.any()):
        rest = task.take(left)
        start = near.take(left).where(rough.done[left], first_point(rest))
        again = follow_path(rest, start, _gram(rest.layout), _EXACT).point
        found.improve(left, _Answer.of(rest, again.plan, again.price, again.cap_price))
    return found.change, found.gap


@attrs.frozen(eq=False)
class _Answer:
    """Changes within the ball (B, C, n) and their gaps (B,)."""

    change: Tensor
    gap: Tensor

    @classmethod
    def of(cls, task: ScaledProblem, plan: Tensor, price: Tensor, cap_price: Tensor) -> "_Answer":
        """The answer of plans that may miss the ball a little; they are repaired first."""
        plan = repair(task, plan)
        return cls(task.layout.change(plan), duality_gap(task, plan, price, cap_price))

    def improve(self, rows: Tensor, other: "_Answer") -> None:
        """Writes other answers into some rows where they are better."""
        better = ~(other.gap >= self.gap[rows])
        places = rows.nonzero().squeeze(1)[better]
        self.change[places], self.gap[places] = other.change[better], other.gap[better]


def _likely(task: ScaledProblem, point: PathPoint) -> tuple[Tensor, Tensor, Tensor]:
    """The likeliest moves of each source, the mask of those that are not padding, (B, C, S, k), and True where they
    suffice, (B,).

    On the path, a move's mass is large where its reduced cost is small, and the reverse.
    """
    likely = torch.where(task.layout.allowed, point.plan / point.loss, 0).nan_to_num(0)
    likely[..., 0] = torch.inf
    likely, place = likely.sort(dim=-1, descending=True)
    real = likely > _UNLIKELY
    wanted, moves = real.sum(-1).flatten(1).amax(1), point.plan.shape[-1]
    enough = wanted <= max(_FEW, moves // _SHARE)
    count = int(torch.where(enough, wanted, 1).amax())
    return place[..., :count].contiguous(), real[..., :count], enough


def _gram(layout: PlanLayout) -> BlockedGram | MovePairs:
    """The algorithm that adds up the Gram matrix: pair by pair where there are few pairs, else in blocks."""
    near = blocked_gram(layout)
    if layout.pixel.device.type == "cpu" and has_few_pairs(layout, _PAIRS):
        return move_pairs(layout, near.band)
    return near


def _within_reach(task: ScaledProblem) -> ScaledProblem:
    """The problem without mass, budget and caps that no nearest point uses. They would only be large numbers.

    ‖d‖ ≤ ‖δ‖, so a nearest plan without cycles consists of paths of total mass ½‖d‖₁ ≤ ½√n‖δ‖, and each path passes a
    pixel at most once.
    """
    pixels = per_example(task.layout.real)
    wish: Tensor = torch.linalg.vector_norm(task.pull.flatten(1), dim=1) / task.curvature
    flow = 1 + 0.5 * pixels.sqrt() * wish
    dearest = task.layout.cost.flatten(1).amax(1)
    layout = attrs.evolve(task.layout, mass=torch.minimum(task.layout.mass, over_pixels(flow)))
    budget = torch.minimum(task.budget, 1 + flow * pixels * dearest)
    room = torch.where(task.room > 1 + over_pixels(wish), torch.inf, task.room)
    return attrs.evolve(task, layout=layout, budget=budget, room=room, has_cap=room.isfinite())
