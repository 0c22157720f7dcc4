"""A primal-dual path of plans and prices to the nearest point of a Wasserstein ball."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.projection.blocked_gram import Panels
from inradius_wasserstein.projection.newton import Step, newton
from inradius_wasserstein.projection.pairs import Pairs
from inradius_wasserstein.projection.problem import Problem, highest_price, wide

# How much of the way to the boundary a step goes, and the share of the budget that the first plan spends: a plan well
# inside, with moves already near the budget.
_REACH = 0.995
_FIRST = 0.9
# The mean product of slacks below which rounding error in Newton's equations would show.
_LATE = 1e-6
# Rounds of correction of what they answer then, and once more where hardly a digit would be left.
_LAST = 1e-10


def _per_example(values: Tensor) -> Tensor:
    return values.flatten(1).sum(1)


def _flat(values: Tensor) -> Tensor:
    return values[:, None, None]


@attrs.frozen(eq=False)
class Point:
    """A plan P (B, C, S, m) with reduced costs s, row prices α (B, C, S), the price ψ and unspent budget t (B,), room u and
    tolls ν of the caps (B, C, n); P, s, ψ, t, u and ν are > 0. A point's direction has the same fields."""

    plan: Tensor
    loss: Tensor
    source: Tensor
    price: Tensor
    spare: Tensor
    room: Tensor
    toll: Tensor

    def moved(self, step: "Point", length: Tensor) -> "Point":
        """The point after ``length`` (B,) of the step."""
        mine, theirs = attrs.astuple(self, recurse=False), attrs.astuple(step, recurse=False)
        return Point(*(a + b * length.view(-1, *[1] * (a.ndim - 1)) for a, b in zip(mine, theirs, strict=True)))

    def take(self, rows: Tensor) -> "Point":
        """The points of some examples."""
        return Point(*(value[rows] for value in attrs.astuple(self, recurse=False)))

    def where(self, chosen: Tensor, other: "Point") -> "Point":
        """These points for the chosen examples, (B,), and the others for the rest."""
        mine, theirs = attrs.astuple(self, recurse=False), attrs.astuple(other, recurse=False)
        return Point(
            *(torch.where(chosen.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in zip(mine, theirs, strict=True))
        )

    def put(self, rows: Tensor, other: "Point") -> None:
        """Writes other points into some rows."""
        for mine, theirs in zip(attrs.astuple(self, recurse=False), attrs.astuple(other, recurse=False), strict=True):
            mine[rows] = theirs

    def copied(self) -> "Point":
        """A copy that may be written to."""
        return Point(*(value.clone() for value in attrs.astuple(self, recurse=False)))

    def to(self, dtype: torch.dtype) -> "Point":
        """The points in another precision."""
        return Point(*(value.to(dtype) for value in attrs.astuple(self, recurse=False)))

    def only(self, kept: Tensor, real: Tensor) -> "Point":
        """The points of the kept moves, their places (B, C, S, k), some of which are padding."""
        plan, loss = (
            torch.where(real, value.gather(-1, kept), rest) for value, rest in ((self.plan, 0), (self.loss, 1))
        )
        return attrs.evolve(self, plan=plan, loss=loss)


def first_point(problem: Problem) -> Point:
    """A point near the path whose plan almost spends the budget: at its price every pixel would keep its mass."""
    plans = problem.plans
    here = problem.pull.gather(-1, plans.home)
    gain = plans.at(problem.pull) - here.unsqueeze(-1)
    paid, price = plans.cost > 0, highest_price(problem)
    # free moves have no price that keeps them from being made
    loss = torch.where(paid, wide(price) * plans.cost - gain, 1)
    leaves = plans.allowed.clone()
    leaves[..., 0] = False
    size = torch.where(leaves, 1 / loss, 0)
    centre = _FIRST * problem.budget / (_per_example(plans.cost * size) + 1 / price)
    half = 0.5 * plans.mass
    centre = torch.minimum(centre, _per_example(half) / _per_example(size).clamp_min(1e-30)).clamp_min(1e-300)
    plan = size * wide(centre)
    plan = plan * (half / plan.sum(-1).clamp_min(1e-30)).clamp_max(1).unsqueeze(-1)
    stays = plans.mass - plan.sum(-1)
    plan[..., 0] = stays
    rest = torch.where(stays > 0, _flat(centre) / stays.clamp_min(1e-30), 1)
    loss = torch.where(leaves, loss + rest.unsqueeze(-1), 1)
    loss[..., 0] = rest
    spare = torch.maximum(problem.budget - plans.price(plan), centre / price)
    room = torch.where(problem.capped, (problem.room - plans.change(plan)).clamp_min(0.1), 1)
    toll = torch.where(problem.capped, _flat(centre) / room, 0)
    return Point(plan, loss, -here - rest, price, spare, room, toll)


@attrs.frozen(eq=False)
class Residuals:
    """What a point misses: its reduced costs, the rows, the budget, the room; the mean product of slacks and the merit.

    The merit is the duality gap and what the missed constraints are worth; ``worth`` is what a gap is compared with.
    """

    loss: Tensor
    rows: Tensor
    spare: Tensor
    room: Tensor
    total: Tensor
    mean: Tensor
    merit: Tensor
    worth: Tensor

    def take(self, rows: Tensor) -> "Residuals":
        """What the points of some examples miss."""
        return Residuals(*(value[rows] for value in attrs.astuple(self, recurse=False)))


def residuals(problem: Problem, point: Point, inside: float) -> Residuals:
    """What the point misses; ``inside`` is a parameter of the worth."""
    plans = problem.plans
    change = plans.change(point.plan)
    offered = wide(point.price) * plans.cost - plans.at(problem.residual(change) - point.toll)
    lost = offered - (offered + plans.barrier).amin(-1, keepdim=True)
    free = problem.budget - plans.price(point.plan)
    left = torch.where(problem.capped, problem.room - change, 0)
    rows = plans.mass - point.plan.sum(-1)
    total = _per_example(point.plan * point.loss) + point.spare * point.price + _per_example(point.room * point.toll)
    products = _per_example(plans.allowed) + _per_example(problem.capped) + 1
    gap = _per_example(point.plan * lost) + point.price * free.abs()
    missed = 2 * (_per_example(rows.abs()) + _per_example((-left).clamp_min(0)))
    return Residuals(
        loss=offered - point.source.unsqueeze(-1) - point.loss,
        rows=rows,
        spare=free - point.spare,
        room=torch.where(problem.capped, left - point.room, 0),
        total=total,
        mean=total / products,
        merit=gap + _per_example(point.toll * left.abs()) + missed,
        worth=worth(problem, change, inside),
    )


def worth(problem: Problem, change: Tensor, inside: float) -> Tensor:
    """What a gap is compared with, (B,).

    The distance ½‖δ − d‖², or ‖δ − d‖‖d‖ where δ is so far away that its distance says little about d. Where δ is as good as in
    the ball, a share ``inside`` of ½‖d‖².
    """
    left: Tensor = torch.linalg.vector_norm(problem.residual(change).flatten(1), dim=1)
    moved: Tensor = torch.linalg.vector_norm(change.flatten(1), dim=1)
    distance = left * torch.minimum(0.5 * left / problem.curvature, moved)
    return torch.maximum(distance, 0.5 * inside * problem.curvature * moved.square())


def next_point(problem: Problem, parts: Panels | Pairs, point: Point, missing: Residuals) -> Point:
    """Mehrotra's predictor and corrector step. Source: mehrotra1992."""
    plans = problem.plans
    late = bool((missing.mean < _LATE).any())
    rounds = late + bool((missing.mean < _LAST).any())
    stiffness = _flat(problem.curvature) + point.toll / point.room
    equations = newton(plans, parts, point.plan / point.loss, stiffness, point.spare / point.price, careful=late)
    inverse = plans.open / point.plan.clamp_min(1e-30)

    def towards(force: Tensor, spare: Tensor, toll: Tensor, *, rounds: int = 0) -> Point:
        offset = (toll - point.toll * missing.room) / point.room
        step = equations.step(force, offset, missing.rows, missing.spare - spare / point.price, rounds=rounds)
        return _direction(problem, point, missing, step, spare, toll)

    force = -(point.loss + missing.loss)
    predictor = towards(force, -point.spare * point.price, -point.room * point.toll)
    both = Products(predictor.plan * predictor.loss, predictor.spare * predictor.price, predictor.room * predictor.toll)
    ahead = (1 / _blocking(point, predictor, inverse)).clamp_max(1)
    reached = (1 - ahead) * missing.total + ahead.square() * both.total()
    centre = (reached / missing.total).clamp(0, 1) ** 3 * missing.mean
    corrector = towards(
        torch.addcmul(force, wide(centre) - both.plan, inverse),
        centre - point.spare * point.price - both.spare,
        torch.where(problem.capped, _flat(centre), 0) - point.room * point.toll - both.room,
        rounds=rounds,
    )
    reached_point = point.moved(corrector, (_REACH / _blocking(point, corrector, inverse)).clamp_max(1))
    # rows that rounding has left are put right at once: relative to each entry this is little
    rows = plans.mass / reached_point.plan.sum(-1).clamp_min(1e-30)
    return attrs.evolve(reached_point, plan=reached_point.plan * rows.unsqueeze(-1))


@attrs.frozen(eq=False)
class Products:
    """Products of a direction's slacks: dP ds (B, C, S, m), dt dψ (B,) and du dν (B, C, n)."""

    plan: Tensor
    spare: Tensor
    room: Tensor

    def total(self) -> Tensor:
        """Their sum, (B,)."""
        return _per_example(self.plan) + self.spare + _per_example(self.room)


def _direction(problem: Problem, point: Point, missing: Residuals, step: Step, spare: Tensor, toll: Tensor) -> Point:
    """The step of all slacks when products of the budget and the caps change by ``spare`` and ``toll``."""
    # differences of prices keep the digits that quotients of slacks lose at the end of the path
    loss = (missing.loss - step.gain) * problem.plans.open
    budget = (spare - point.spare * step.price) / point.price
    room = fee = torch.zeros_like(toll)
    if bool(problem.capped.any()):
        gained = problem.plans.into(step.plan)
        fee = torch.where(problem.capped, -step.pixel - _flat(problem.curvature) * gained, 0)
        tight = point.room < point.toll
        room = torch.where(tight, (toll - point.room * fee) / point.toll, missing.room - gained) * problem.capped
    return Point(step.plan, loss, step.source, step.price, budget, room, fee)


def _blocking(point: Point, step: Point, inverse: Tensor) -> Tensor:
    """1 / the longest step that keeps everything ≥ 0, (B,)."""
    toll = torch.where(point.toll > 0, step.toll / point.toll, 0)
    bars = [step.plan * inverse, step.loss / point.loss, step.room / point.room, toll]
    single = torch.minimum(step.spare / point.spare, step.price / point.price)
    worst = torch.stack([bar.flatten(1).amin(1) for bar in bars]).amin(0)
    return (-torch.minimum(worst, single)).clamp_min(1e-3)
