"""The distance of the decision boundary, by a linear model."""

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch
from inradius_minimal.gradients import leads, length
from inradius_minimal.nearest import Nearest
from inradius_minimal.reach import reach
from inradius_minimal.target_classes import strongest

# the radius to begin with where the gradient is 0, as a share of that of the point (1, 1, ...)
_SHARE = 2.0**-6
# the least first step, as a share of the length of the start
_PACE = 0.3


@attrs.frozen(eq=False)
class Outlook:
    """The nearest boundary by the gradients at x + δ: the ``gradient`` (n, *S) of the lead, the Euclidean ``length`` (n,)
    of the shortest step there, and the gauge there, ``radius`` (n,); ``logits`` (n, C) are those at x + δ. Where the gradient is
    0, both are a small share of those of (1, 1, ...). A start may be far away and on a boundary, so the length is at least a share
    of that of δ.
    """

    logits: Tensor
    gradient: Tensor
    length: Tensor
    radius: Tensor

    @classmethod
    def of(cls, part: AttackBatch, delta: Tensor, classes: int) -> "Outlook":
        """The nearest of the boundaries to the ``classes`` wrong classes of the largest logits at x + δ, a gradient for each."""
        logits, ahead = leads(part, delta, lambda logits: strongest(part, logits, classes))
        near = Nearest.of(part, delta, ahead)
        radius, far = _beyond(part, delta, near.step, near.distance), length(near.step)
        blind = (far == 0).nonzero().squeeze(1)
        if len(blind):
            radius[blind], far[blind] = _small(part.take(blind), delta[blind])
        return cls(logits, near.gradient, torch.maximum(far, _PACE * length(delta)), radius)


def small_radius(part: AttackBatch) -> Tensor:
    """A share of the gauge of (1, 1, ...), a first radius where the gradient says nothing, (n,)."""
    radius = part.threat.gauge(torch.ones_like(part.x), part.x) * _SHARE
    return torch.where(torch.isfinite(radius) & (radius > 0), radius, 1.0)


def _small(part: AttackBatch, delta: Tensor) -> tuple[Tensor, Tensor]:
    """A first radius beyond that of δ, and the Euclidean length of (1, 1, ...) there, two of (n,)."""
    ones = torch.ones_like(delta)
    gauge, small = part.threat.gauge(ones, part.x), small_radius(part)
    share = torch.where(torch.isfinite(gauge) & (gauge > 0), small / gauge, 1.0)
    return part.threat.gauge(delta, part.x) + small, length(ones) * share


def radius_ahead(part: AttackBatch, delta: Tensor, lead: Tensor, gradient: Tensor) -> Tensor:
    """The gauge of δ and from there to where the lead (n,), with a gradient (n, *S) at x + δ, is 0 in a linear model, (n,)."""
    return _beyond(part, delta, *reach(part.threat, gradient, -lead, part.x + delta))


def _beyond(part: AttackBatch, delta: Tensor, step: Tensor, distance: Tensor) -> Tensor:
    # where no radius reaches the boundary, the step goes as far as the hard constraints allow
    farthest = part.threat.gauge(step, part.x + delta)
    farthest = torch.where(torch.isfinite(farthest) & (farthest > 0), farthest, 1.0)
    return part.threat.gauge(delta, part.x) + torch.where(torch.isfinite(distance), distance, farthest)
