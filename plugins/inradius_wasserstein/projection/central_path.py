"""A primal-dual step along the central path to the nearest point of a Wasserstein ball."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.projection.blocked_gram import BlockedGram
from inradius_wasserstein.projection.move_pairs import MovePairs
from inradius_wasserstein.projection.newton import NewtonStep, newton
from inradius_wasserstein.projection.path_point import PathPoint
from inradius_wasserstein.projection.residuals import Residuals
from inradius_wasserstein.projection.scaled_problem import ScaledProblem, over_moves, over_pixels, per_example

# The share of the way to the boundary that a step goes.
_REACH = 0.995
# The mean product of slacks below which rounding error in Newton's equations would show.
_LATE = 1e-6
# The mean product of slacks below which a step is corrected once more, because hardly a digit would be left.
_LAST = 1e-10


def next_point(
    problem: ScaledProblem, gram: BlockedGram | MovePairs, point: PathPoint, missing: Residuals
) -> PathPoint:
    """The point after Mehrotra's predictor and corrector step.

    Source: mehrotra1992.
    """
    layout = problem.layout
    late = bool((missing.mean < _LATE).any())
    rounds = late + bool((missing.mean < _LAST).any())
    stiffness = over_pixels(problem.curvature) + point.cap_price / point.room
    equations = newton(layout, gram, point.plan / point.loss, stiffness, point.spare / point.price, careful=late)
    inverse = layout.open / point.plan.clamp_min(1e-30)

    def towards(force: Tensor, spare: Tensor, cap_price: Tensor, *, rounds: int = 0) -> PathPoint:
        offset = (cap_price - point.cap_price * missing.room) / point.room
        step = equations.step(force, offset, missing.rows, missing.spare - spare / point.price, rounds=rounds)
        return _direction(problem, point, missing, step, spare, cap_price)

    force = -(point.loss + missing.loss)
    predictor = towards(force, -point.spare * point.price, -point.room * point.cap_price)
    both = SlackProducts(
        predictor.plan * predictor.loss, predictor.spare * predictor.price, predictor.room * predictor.cap_price
    )
    ahead = (1 / _blocking(point, predictor, inverse)).clamp_max(1)
    reached = (1 - ahead) * missing.total + ahead.square() * both.total()
    centre = (reached / missing.total).clamp(0, 1) ** 3 * missing.mean
    corrector = towards(
        torch.addcmul(force, over_moves(centre) - both.plan, inverse),
        centre - point.spare * point.price - both.spare,
        torch.where(problem.has_cap, over_pixels(centre), 0) - point.room * point.cap_price - both.room,
        rounds=rounds,
    )
    reached_point = point.moved(corrector, (_REACH / _blocking(point, corrector, inverse)).clamp_max(1))
    # the rows' rounding errors are corrected at once, by a small change relative to each entry
    rows = layout.mass / reached_point.plan.sum(-1).clamp_min(1e-30)
    return attrs.evolve(reached_point, plan=reached_point.plan * rows.unsqueeze(-1))


@attrs.frozen(eq=False)
class SlackProducts:
    """The second-order terms of Mehrotra's corrector for a direction; all products are elementwise.

    plan (B, C, S, m): change of the plan times change of its reduced costs. spare (B,): change of the unspent budget times
    change of the budget's price. room (B, C, n): change of the room under the caps times change of the caps' prices.
    """

    plan: Tensor
    spare: Tensor
    room: Tensor

    def total(self) -> Tensor:
        """The sum of all products, (B,)."""
        return per_example(self.plan) + self.spare + per_example(self.room)


def _direction(
    problem: ScaledProblem, point: PathPoint, missing: Residuals, step: NewtonStep, spare: Tensor, cap_price: Tensor
) -> PathPoint:
    """The step of all variables, from Newton's ``step`` for part of them.

    To first order the products of slack and price change by ``spare`` for the budget and by ``cap_price`` for the caps.
    """
    # differences of prices keep digits that quotients of slacks lose at the end of the path
    loss = (missing.loss - step.gain) * problem.layout.open
    budget = (spare - point.spare * step.price) / point.price
    room = cap_price_step = torch.zeros_like(cap_price)
    if bool(problem.has_cap.any()):
        gained = problem.layout.into(step.plan)
        cap_price_step = torch.where(problem.has_cap, -step.pixel - over_pixels(problem.curvature) * gained, 0)
        tight = point.room < point.cap_price
        room = (
            torch.where(tight, (cap_price - point.room * cap_price_step) / point.cap_price, missing.room - gained)
            * problem.has_cap
        )
    return PathPoint(step.plan, loss, step.source, step.price, budget, room, cap_price_step)


def _blocking(point: PathPoint, step: PathPoint, inverse: Tensor) -> Tensor:
    """1 / (the longest step that keeps all slacks ≥ 0), (B,)."""
    cap_price = torch.where(point.cap_price > 0, step.cap_price / point.cap_price, 0)
    bars = [step.plan * inverse, step.loss / point.loss, step.room / point.room, cap_price]
    single = torch.minimum(step.spare / point.spare, step.price / point.price)
    worst = torch.stack([bar.flatten(1).amin(1) for bar in bars]).amin(0)
    return (-torch.minimum(worst, single)).clamp_min(1e-3)
