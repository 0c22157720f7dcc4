"""Decoupled direction and norm."""

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch, CrossEntropy, Objective
from inradius.components.validators import as_float, component, count, positive, share
from inradius.sets.examples import expand
from inradius_minimal.boundary import Outlook
from inradius_minimal.gradients import climb, heading
from inradius_minimal.minimal import MinimalAttack
from inradius_minimal.schedule import cosine
from inradius_minimal.smallest import Smallest
from inradius_minimal.surface import on_surface

# the last step's share of the first, as in Rony et al.'s code
_LAST = 0.01


@attrs.frozen(kw_only=True)
class DDN(MinimalAttack):
    """Follows the gradient on a sphere that shrinks by ``gamma`` where δ is misclassified and grows by it where not.

    δ ← the point of gauge r nearest to δ + a · gradient / ‖gradient‖₂, with r ← (1 ± γ) r. Of ℓ2 it is the method of the
    paper; any other set brings its own projection and gauge. The paper's first radius and step are 1; here both are what
    the first gradient says of the distance to the boundary, so that the scale of images and radius changes nothing. Steps
    fall along a cosine, from ``step`` times that length to a hundredth of it.
    Source: rony2019.
    """

    # Rony et al. 2019, sec. 5: 100, 300 and 1000 steps; γ = 0.05, and a step of 1 that falls along a cosine
    steps: int = attrs.field(default=100, validator=count)
    gamma: float = attrs.field(default=0.05, validator=share, converter=as_float)
    step: float = attrs.field(default=1.0, validator=positive, converter=as_float)
    objective: Objective = attrs.field(factory=CrossEntropy, validator=component(Objective))

    def seek(self, part: AttackBatch, start: Tensor, found: Smallest) -> None:
        outlook = Outlook.of(part, start, 1)
        unit_step, radius = expand(outlook.length, start), outlook.radius
        delta = start
        for step in range(self.steps):
            logits, _, gradient = climb(part, delta, self.objective)
            fooled = found.record(part, delta, logits)
            radius = radius * torch.where(fooled, 1 - self.gamma, 1 + self.gamma).to(radius)
            pace = cosine(self.step, self.step * _LAST, step, self.steps)
            delta = on_surface(part.threat, delta + heading(part, gradient, step) * unit_step * pace, part.x, radius)
        found.try_out(part, delta)
