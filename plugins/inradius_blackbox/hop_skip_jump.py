"""HopSkipJump: steps along the boundary's normal, estimated from predictions alone."""

import math
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import Attack, AttackBatch, Observer
from inradius.components.validators import count
from inradius.sets.examples import expand
from inradius_blackbox.decisions import Decisions
from inradius_blackbox.feasible_box import FeasibleBox, far, feasible_box_of
from inradius_blackbox.starts import begin, closer

# halvings of a step before it is given up
_HALVINGS = 12
# how many numbers are drawn for an example at once
_BLOCK = 1 << 15


@attrs.frozen(kw_only=True)
class HopSkipJump(Attack):
    """The adversarial perturbation of the smallest gauge that it finds, from predictions alone.

    From a point on the boundary it asks for predictions around, takes their mean direction for the boundary's normal,
    makes the set's step of steepest ascent along it, gauge / √t long and halved until it is adversarial, and comes back to
    the boundary on the path of projections onto ever smaller sets: on ℓ2 a line, on ℓ∞ a clip, as in the paper. It starts
    from the ``start`` of the call, or from noise of growing radius; an example that no noise misclassifies keeps δ = 0.
    Source: chen2020hopskip.
    """

    aims: ClassVar[bool] = True
    minimal: ClassVar[bool] = True
    black_box: ClassVar[bool] = True

    # Chen et al. 2020, table 1: one of their budgets, which are 1000, 5000 and 20000
    queries: int = attrs.field(default=5000, validator=count)
    # Chen et al. 2020, sec. 5.1: 100 √t images for the t-th estimate
    samples: int = attrs.field(default=100, validator=count)

    @torch.no_grad()
    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        decisions = Decisions(batch, self.queries, observe)
        part, delta = begin(decisions)
        if not len(part):
            return decisions.best
        passes = _passes(batch.x)
        delta = closer(decisions, part, delta, passes)
        feasible = feasible_box_of(part.threat, part.x)
        for step in range(1, self.queries):
            samples = int(self.samples * math.sqrt(step))
            able = (decisions.left[part.rows] >= samples + _HALVINGS + passes).nonzero().squeeze(1)
            part, delta, feasible = part.take(able), delta[able], feasible.take(able)
            if not len(part):
                break
            normal = _normal(decisions, part, delta, samples, step, feasible)
            delta = closer(decisions, part, _advance(decisions, part, delta, normal, step, feasible), passes)
            decisions.show()
        return decisions.answer()


def _passes(x: Tensor) -> int:
    """Bisections until the radius is known to a share of d^(−3/2), as in sec. 5.1, or to what the type resolves."""
    size = max(2, x.shape[1:].numel())
    return math.ceil(min(1.5 * math.log2(size), -math.log2(torch.finfo(x.dtype).eps) - 4))


def _normal(
    decisions: Decisions, part: AttackBatch, delta: Tensor, samples: int, step: int, feasible: FeasibleBox
) -> Tensor:
    """The mean of random directions, those that lead to the wrong side taken negative, (n, *S)."""
    size = part.x.shape[1:].numel()
    length = delta.flatten(1).norm(dim=1)
    # the t-th probe reaches 1 / d of the distance; the first one farther, as its point is the coarsest
    probe = expand(length / size if step > 1 else 0.01 * length, delta).unsqueeze(1)
    signed, plain, votes = torch.zeros_like(delta), torch.zeros_like(delta), torch.zeros_like(length)
    # blocks of a size that batch mates do not change, as each is a draw
    block = max(1, _BLOCK // size)
    rng = part.rng.fork(1000 + step)
    for first in range(0, samples, block):
        shape = (min(block, samples - first), *part.x.shape[1:])
        draws = rng.normal(shape, dtype=delta.dtype).to(delta.device)
        draws = draws * (probe / draws.flatten(2).norm(dim=2).view(*draws.shape[:2], *(1,) * (delta.ndim - 1)))
        points = torch.clamp(delta[:, None] + draws, feasible.low[:, None], feasible.high[:, None])
        moves = points - delta[:, None]
        sides = decisions.ask_many(part, points).to(delta) * 2 - 1
        signed += (moves * sides.view(*sides.shape, *(1,) * (delta.ndim - 1))).sum(1)
        plain += moves.sum(1)
        votes += sides.sum(1)
    mean = votes / samples
    # where all agree there is no baseline to take off
    baseline = torch.where(mean.abs() < 1, mean, torch.zeros_like(mean))
    return signed - expand(baseline, delta) * plain


def _advance(
    decisions: Decisions, part: AttackBatch, delta: Tensor, normal: Tensor, step: int, feasible: FeasibleBox
) -> Tensor:
    """The perturbation after the longest of the halved steps that stays adversarial, or the same one, (n, *S)."""
    steepest = part.threat.steepest(normal, part.x, delta, rng=part.rng.fork(step))
    share = part.threat.gauge(delta, part.x).to(delta) / math.sqrt(step)
    answer, waiting = delta, torch.arange(len(part), device=delta.device)
    for _ in range(_HALVINGS):
        some = part.take(waiting)
        moved = delta[waiting] + expand(share[waiting], delta) * steepest[waiting]
        moved = feasible.take(waiting).nearest(far(some.threat), moved, some.x)
        fooled = decisions.ask(some, moved)
        answer = answer.index_put((waiting[fooled],), moved[fooled])
        waiting, share = waiting[~fooled], share / 2
        if not len(waiting):
            break
    return answer
