"""The fast minimum-norm attack."""

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch, Margin
from inradius.components.validators import as_float, count, positive, share
from inradius.sets.examples import expand
from inradius_minimal.boundary import Outlook, radius_ahead
from inradius_minimal.gradients import climb, unit
from inradius_minimal.minimal import MinimalAttack
from inradius_minimal.schedule import cosine
from inradius_minimal.smallest import Smallest

# the last step's share of the first, and the last γ, as in Pintor et al.'s algorithm 1
_LAST = 0.01
_LAST_GAMMA = 0.001


@attrs.frozen(kw_only=True)
class FMN(MinimalAttack):
    """Projected gradient ascent on the lead, in a set whose radius is adapted to each example after every step.

    δ ← project(δ + a · gradient / ‖gradient‖₂) in scaled(r)(x). Until an example is misclassified, r is the gauge of δ plus the
    linearised distance from there to the boundary; afterwards r ← (1 − γ) min(r, the best gauge) where δ is misclassified, and
    (1 + γ) r where not. Steps and γ fall along a cosine; the first step is ``step`` times as long as the shortest one to
    the linearised boundary, where the paper's is 1, so that the scale of images and radius changes nothing. It goes
    towards the nearest linearised boundary among ``classes`` wrong classes; later steps follow the gradient of the lead.
    Source: pintor2021.
    """

    # Pintor et al. 2021, sec. 3: up to 1000 steps, of which 100 come near; γ = 0.05
    steps: int = attrs.field(default=100, validator=count)
    gamma: float = attrs.field(default=0.05, validator=share, converter=as_float)
    step: float = attrs.field(default=1.0, validator=positive, converter=as_float)
    classes: int = attrs.field(default=3, validator=count)

    def seek(self, part: AttackBatch, start: Tensor, found: Smallest) -> None:
        outlook = Outlook.of(part, start, self.classes)
        ever = found.record(part, start, outlook.logits)
        unit_step, radius, gradient = expand(outlook.length, start), outlook.radius, outlook.gradient
        delta = part.threat.per_example(radius).project(start + unit(gradient) * unit_step * self.step, part.x)
        for step in range(1, self.steps):
            logits, lead, gradient = climb(part, delta, Margin())
            fooled = found.record(part, delta, logits)
            ever = ever | fooled
            radius = self._adapted(step, radius, found.size[part.rows], fooled)
            never = (~ever).nonzero().squeeze(1)
            if len(never):
                some = part.take(never)
                radius[never] = radius_ahead(some, delta[never], found.past(some, lead[never]), gradient[never])
            pace = cosine(self.step, self.step * _LAST, step, self.steps)
            delta = part.threat.per_example(radius).project(delta + unit(gradient) * unit_step * pace, part.x)
        found.try_out(part, delta)

    def _adapted(self, step: int, radius: Tensor, best: Tensor, fooled: Tensor) -> Tensor:
        """The next radius of examples that were misclassified before, (n,)."""
        gamma = cosine(self.gamma, min(_LAST_GAMMA, self.gamma), step, self.steps)
        return torch.where(fooled, torch.minimum(radius, best) * (1 - gamma), radius * (1 + gamma))
