"""Euclidean projection on a Wasserstein ball by a primal-dual interior point, exact to rounding."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.plans.plans import Plans
from inradius_wasserstein.projection.blocked_gram import Panels, panels
from inradius_wasserstein.projection.central_path import Point, first_point, worth
from inradius_wasserstein.projection.pairs import Pairs, few, pairs
from inradius_wasserstein.projection.path_following import Aim, follow
from inradius_wasserstein.projection.problem import Problem, duality_gap
from inradius_wasserstein.projection.projected import Projected, by_chunks
from inradius_wasserstein.projection.repair import repair
from inradius_wasserstein.set.moves import Moves

# The gap at which the distance has nine digits, and where δ is as good as in the ball, the change has six; and that at
# which all moves that matter are among the likeliest ones. Single precision finds the latter.
_EXACT = Aim(1e-9, 1e-4)
_ROUGH = Aim(1e-2, 1e-2)
# Moves are kept up to this ratio of mass and reduced cost, and all of them where those of a source are more than a few.
_UNLIKELY = 0.05
_FEW, _SHARE = 16, 4
# Pairs for each source up to which they are added up one by one.
_PAIRS = 100


def nearest(delta: Tensor, x: Tensor, moves: Moves, budget: Tensor, cap: float | None) -> Projected:
    """argmin ½‖d − δ‖² over the changes d = Pᵀ1 − x of plans P ≥ 0, P1 = x, ⟨C, P⟩ ≤ budget, x + d ≤ cap, (B, C, H, W).

    The answer lies in the ball, whatever the accuracy; ``gap`` (B,) bounds what it is worse than the nearest point.
    Source: mehrotra1992.
    """
    return by_chunks(_solve, delta, x, moves, budget, cap)


def _solve(task: Problem) -> tuple[Tensor, Tensor]:
    task = _within_reach(task)
    quick = task.to(torch.float32)
    rough = follow(quick, first_point(quick), _parts(quick.plans), _ROUGH)
    near = rough.point.to(task.pull.dtype)
    kept, real, enough = _likely(task, near)
    some = attrs.evolve(task, plans=task.plans.only(kept, real))
    exact = follow(some, near.only(kept, real), _parts(some.plans), _EXACT, rough.done & enough)
    plan = torch.zeros_like(near.plan).scatter_(-1, kept, exact.point.plan)
    found = _Answer.of(task, plan, exact.point.price, exact.point.toll)
    left = ~(exact.done & (found.gap <= 2 * _EXACT.tolerance * worth(task, found.change, _EXACT.inside)))
    if bool(left.any()):
        rest = task.take(left)
        start = near.take(left).where(rough.done[left], first_point(rest))
        again = follow(rest, start, _parts(rest.plans), _EXACT).point
        found.improve(left, _Answer.of(rest, again.plan, again.price, again.toll))
    return found.change, found.gap


@attrs.frozen(eq=False)
class _Answer:
    """Changes of the ball (B, C, n) and their gaps (B,)."""

    change: Tensor
    gap: Tensor

    @classmethod
    def of(cls, task: Problem, plan: Tensor, price: Tensor, toll: Tensor) -> "_Answer":
        """The answer of plans that may miss the ball a little."""
        plan = repair(task, plan)
        return cls(task.plans.change(plan), duality_gap(task, plan, price, toll))

    def improve(self, rows: Tensor, other: "_Answer") -> None:
        """Writes other answers into some rows where they are better."""
        better = ~(other.gap >= self.gap[rows])
        places = rows.nonzero().squeeze(1)[better]
        self.change[places], self.gap[places] = other.change[better], other.gap[better]


def _likely(task: Problem, point: Point) -> tuple[Tensor, Tensor, Tensor]:
    """The likeliest moves of each source: their places and which are no padding, (B, C, S, k), and where they are enough, (B,).

    Of a move's mass and its reduced cost, on the path the one is large where the other is small.
    """
    likely = torch.where(task.plans.allowed, point.plan / point.loss, 0).nan_to_num(0)
    likely[..., 0] = torch.inf
    likely, place = likely.sort(dim=-1, descending=True)
    real = likely > _UNLIKELY
    wanted, moves = real.sum(-1).flatten(1).amax(1), point.plan.shape[-1]
    enough = wanted <= max(_FEW, moves // _SHARE)
    count = int(torch.where(enough, wanted, 1).amax())
    return place[..., :count].contiguous(), real[..., :count], enough


def _parts(plans: Plans) -> Panels | Pairs:
    near = panels(plans)
    if plans.pixel.device.type == "cpu" and few(plans, _PAIRS):
        return pairs(plans, near.band)
    return near


def _within_reach(task: Problem) -> Problem:
    """The problem without mass, budget and caps that no nearest point meets, which would only be large numbers.

    ‖d‖ ≤ ‖δ‖, so that a nearest plan without cycles consists of paths of total mass ½‖d‖₁ ≤ ½√n‖δ‖, each of which passes a
    pixel at most once.
    """
    pixels = task.plans.real.flatten(1).sum(1)
    wish: Tensor = torch.linalg.vector_norm(task.pull.flatten(1), dim=1) / task.curvature
    flow = 1 + 0.5 * pixels.sqrt() * wish
    dearest = task.plans.cost.flatten(1).amax(1)
    plans = attrs.evolve(task.plans, mass=torch.minimum(task.plans.mass, flow[:, None, None]))
    budget = torch.minimum(task.budget, 1 + flow * pixels * dearest)
    room = torch.where(task.room > 1 + wish[:, None, None], torch.inf, task.room)
    return attrs.evolve(task, plans=plans, budget=budget, room=room, capped=room.isfinite())
