"""Primal-dual proximal gradient descent."""

import math
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch, Margin
from inradius.components.validators import as_float, count, positive
from inradius.sets.examples import expand
from inradius_minimal.boundary import Outlook
from inradius_minimal.gradients import climb, heading
from inradius_minimal.minimal import MinimalAttack
from inradius_minimal.proximal import dual_length, nearer
from inradius_minimal.schedule import cosine
from inradius_minimal.smallest import Smallest
from inradius_minimal.surface import on_surface

# the last step's share of the first, of the primal and the dual variable
_LAST = 0.01
_LAST_DUAL = 0.1
# the dual variable stays between this and its inverse
_LEAST = 1e-3


@attrs.frozen(kw_only=True)
class PDPGD(MinimalAttack):
    """Steps along the gradient of the lead, proximal steps of the size of δ, and a weight between both that the verdicts move.

    δ ← prox of s · size at δ + w · s · gradient / ‖gradient‖*, where ‖·‖* is the dual norm: where the boundary is flat, δ is
    the smallest for w = 1. The weight w, 1 at first, is multiplied by exp(``dual``) where δ is not misclassified, and divided by
    it where it is. The gradient's part of a step is ``step`` times as long as the shortest step to the linearised boundary, and
    falls along a cosine. It begins on the nearest of the linearised boundaries to ``classes`` wrong classes. The proximal step has
    a closed form in ℓ∞, ℓ2 and ℓ1; on other sets it is searched among projections.
    Source: matyasko2021, in whose paper the step is not relative to the boundary.
    """

    name: ClassVar[str] = "pdpgd"

    # Matyasko and Chau 2021: 500 steps, of which 100 come near, and rates of 0.1
    steps: int = attrs.field(default=100, validator=count)
    step: float = attrs.field(default=1.0, validator=positive, converter=as_float)
    classes: int = attrs.field(default=3, validator=count)
    dual: float = attrs.field(default=0.1, validator=positive, converter=as_float)

    def seek(self, part: AttackBatch, start: Tensor, found: Smallest) -> None:
        outlook = Outlook.of(part, start, self.classes)
        found.record(part, start, outlook.logits)
        first = start + expand(outlook.length, start) * heading(part, outlook.gradient, 0)
        delta, weight = on_surface(part.threat, first, part.x, outlook.radius), torch.ones_like(outlook.length)
        for step in range(1, self.steps):
            logits, _, gradient = climb(part, delta, Margin())
            fooled = found.record(part, delta, logits)
            turn = cosine(self.dual, self.dual * _LAST_DUAL, step, self.steps)
            weight = (weight * torch.where(fooled, math.exp(-turn), math.exp(turn))).clamp(_LEAST, 1 / _LEAST)
            pace = outlook.length * cosine(self.step, self.step * _LAST, step, self.steps)
            way = heading(part, gradient, step)
            delta = nearer(part, delta + expand(weight * pace, delta) * way, pace * dual_length(part, way))
        found.try_out(part, delta)
