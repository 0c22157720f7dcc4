"""Starts of decision-based attacks, and the path on which they come closer."""

import torch
from torch import Tensor

from inradius import AttackBatch
from inradius.sets.examples import expand
from inradius_blackbox.decisions import Decisions
from inradius_blackbox.feasible_box import far

# noise of growing radius: four times at each power of two up to 2^12, then at that
_TRIES = 64
_LARGEST = 12
# blocks along each axis
_BLOCKS = 4


def begin(decisions: Decisions) -> tuple[AttackBatch, Tensor]:
    """The examples that are misclassified with noise or the ``start`` of the call and not without, with that perturbation.

    Noise is drawn from the set at growing radii, which only the hard constraints limit in the end.
    """
    whole, start = decisions.whole, decisions.whole.start
    decisions.ask(whole, torch.zeros_like(whole.x))
    part = decisions.survivors()
    adversarial = torch.zeros_like(whole.x)
    if start is not None and len(part):
        adversarial[part.rows] = far(part.threat).project(start[part.rows], part.x)
        fooled = decisions.ask(part, adversarial[part.rows])
        part = part.take((~fooled).nonzero().squeeze(1))
    for number in range(_TRIES):
        if not len(part):
            break
        radius = 2.0 ** min(number // 4, _LARGEST)
        noise = _noise(part, radius, number)
        fooled = decisions.ask(part, noise)
        adversarial[part.rows] = noise
        part = part.take((~fooled).nonzero().squeeze(1))
    ready = (decisions.found & (decisions.gauge > 0)).nonzero().squeeze(1)
    return whole.take(ready), adversarial[ready]


def _noise(part: AttackBatch, radius: float, number: int) -> Tensor:
    """For even ``number`` a random point of the set at a radius, for odd the farthest point along random blocks, (n, *S).

    Many networks predict one class for all fine noise, so that fine noise finds nothing for examples of that class.
    """
    threat, rng = part.threat.scaled(radius), part.rng.fork(number)
    if number % 2 == 0:
        return threat.sample(part.x, rng=rng)
    blocks = tuple(min(_BLOCKS, length) for length in part.x.shape[1:])
    direction = rng.normal(blocks, dtype=part.x.dtype).to(part.x.device)
    for axis, (many, length) in enumerate(zip(blocks, part.x.shape[1:], strict=True), start=1):
        where = torch.arange(length, device=part.x.device) * many // length
        direction = direction.index_select(axis, where)
    return threat.linear_max(direction, part.x)


def closer(decisions: Decisions, part: AttackBatch, delta: Tensor, passes: int) -> Tensor:
    """A perturbation near the boundary, on the path of δ's projections onto ever smaller sets, (n, *S).

    δ is adversarial, and so is what comes back; a bisection of the radius takes ``passes`` queries.
    """
    high = part.threat.gauge(delta, part.x)
    low, answer = torch.zeros_like(high), delta
    for _ in range(passes):
        middle = (low + high) / 2
        candidate = part.threat.per_example(middle.double()).project(delta, part.x)
        fooled = decisions.ask(part, candidate)
        high, low = torch.where(fooled, middle, high), torch.where(fooled, low, middle)
        answer = torch.where(expand(fooled, answer), candidate, answer)
    return answer
