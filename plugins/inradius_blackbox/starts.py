"""Where decision-based attacks start, and how they come closer along a path."""

import torch
from torch import Tensor

from inradius.ascent import Part
from inradius.threat import expand
from inradius_blackbox.decisions import Decisions
from inradius_blackbox.room import far, scaled, shares

# noise of growing radius: twice at each power of two up to 2^12, then at that
_TRIES = 40
_LARGEST = 12


def begin(decisions: Decisions, start: Tensor | None) -> tuple[Part, Tensor]:
    """The examples that noise or the ``start`` of the call fools and the clean input does not, with that perturbation.

    Noise is drawn from the set at growing radii, which only the hard constraints limit in the end.
    """
    whole = decisions.whole
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
        radius = 2.0 ** min(number // 2, _LARGEST)
        noise = scaled(part.threat, radius).sample(part.x, rng=part.rng.fork(number))
        fooled = decisions.ask(part, noise)
        adversarial[part.rows] = noise
        part = part.take((~fooled).nonzero().squeeze(1))
    ready = (decisions.found & (decisions.gauge > 0)).nonzero().squeeze(1)
    return whole.take(ready), adversarial[ready]


def closer(decisions: Decisions, part: Part, delta: Tensor, passes: int) -> Tensor:
    """A perturbation near the boundary, on the path of δ's projections onto ever smaller sets, (n, *S).

    δ is adversarial, and so is what comes back; a bisection of the radius takes ``passes`` queries.
    """
    high = part.threat.gauge(delta, part.x)
    low, answer = torch.zeros_like(high), delta
    for _ in range(passes):
        middle = (low + high) / 2
        candidate = shares(part.threat, middle).project(delta, part.x)
        fooled = decisions.ask(part, candidate)
        high, low = torch.where(fooled, middle, high), torch.where(fooled, low, middle)
        answer = torch.where(expand(fooled, answer), candidate, answer)
    return answer
