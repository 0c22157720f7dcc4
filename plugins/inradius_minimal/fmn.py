"""The fast minimum-norm attack."""

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch, Margin
from inradius.components.validators import as_float, count, positive, share
from inradius.sets.examples import expand
from inradius_minimal.boundary import Outlook, radius_ahead
from inradius_minimal.counting import grain
from inradius_minimal.gradients import climb, heading
from inradius_minimal.minimal import MinimalAttack
from inradius_minimal.schedule import cosine
from inradius_minimal.smallest import Smallest
from inradius_minimal.surface import on_surface

# the last step's share of the first, and the last γ, as in Pintor et al.'s algorithm 1
_LAST = 0.01
_LAST_GAMMA = 0.001


@attrs.frozen(kw_only=True)
class FMN(MinimalAttack):
    """Projected gradient ascent on the lead, in a set whose radius is adapted to each example after every step.

    δ ← project(δ + a · gradient / ‖gradient‖₂) in scaled(r)(x). Until an example is misclassified, r is the gauge of δ plus the
    linearised distance from there to the boundary, and at least (1 + γ) r, and δ is put on the surface; afterwards
    r ← (1 − γ) min(r, the best gauge) where δ is misclassified, and (1 + γ) r where not. A radius that counts changes by one
    at least. Steps and γ fall along a cosine; the first step is ``step`` times as long as the shortest one to
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
        outlook, least = Outlook.of(part, start, self.classes), grain(part)
        ever = found.record(part, start, outlook.logits)
        unit_step, radius, gradient = expand(outlook.length, start), _whole(outlook.radius, least), outlook.gradient
        delta = on_surface(part.threat, start + heading(part, gradient, 0) * unit_step * self.step, part.x, radius)
        for step in range(1, self.steps):
            logits, lead, gradient = climb(part, delta, Margin())
            fooled = found.record(part, delta, logits)
            ever = ever | fooled
            radius = self._adapted(step, radius, found.size[part.rows], fooled, least)
            never = (~ever).nonzero().squeeze(1)
            if len(never):
                some = part.take(never)
                ahead = radius_ahead(some, delta[never], found.past(some, lead[never]), gradient[never])
                radius[never] = torch.maximum(radius[never], _whole(ahead, least[never]))
            pace = cosine(self.step, self.step * _LAST, step, self.steps)
            delta = _moved(part, delta + heading(part, gradient, step) * unit_step * pace, radius, never)
        found.try_out(part, delta)

    def _adapted(self, step: int, radius: Tensor, best: Tensor, fooled: Tensor, least: Tensor) -> Tensor:
        """The next radius, (n,): smaller where the last one misclassified, and larger where not, by ``least`` (n,) or more."""
        gamma = cosine(self.gamma, min(_LAST_GAMMA, self.gamma), step, self.steps)
        down = torch.minimum(radius, best)
        down = torch.minimum(down * (1 - gamma), (down - least).clamp(min=0))
        return torch.where(fooled, down, torch.maximum(radius * (1 + gamma), radius + least))


def _moved(part: AttackBatch, moved: Tensor, radius: Tensor, never: Tensor) -> Tensor:
    """The projections on the sets of these radii, (n, *S); those of the examples in ``never`` on the surfaces of their sets."""
    if len(never) == len(part):
        return on_surface(part.threat, moved, part.x, radius)
    delta = part.threat.per_example(radius).project(moved, part.x)
    if len(never):
        some = part.take(never)
        delta[never] = on_surface(some.threat, moved[never], some.x, radius[never])
    return delta


def _whole(radius: Tensor, least: Tensor) -> Tensor:
    """A radius, raised to the next multiple of ``least`` where that is not 0, two of (n,) -> (n,)."""
    some = least > 0
    return torch.where(some, (radius / torch.where(some, least, 1.0)).ceil() * least, radius)
