"""The attack of Carlini and Wagner in ℓ2."""

from collections.abc import Sequence

import attrs
import torch
from attrs.validators import optional
from torch import Tensor

from inradius import AttackBatch, Margin, Oracles
from inradius.components.validators import as_float, count, flag, positive
from inradius.sets.arithmetic.sides import beside
from inradius.sets.examples import expand
from inradius.sets.norm import L2
from inradius_minimal.adam import Adam
from inradius_minimal.gradients import climb
from inradius_minimal.minimal import MinimalAttack
from inradius_minimal.patience import Patience
from inradius_minimal.radii import parts_measured_in
from inradius_minimal.smallest import Smallest
from inradius_minimal.tradeoff import balance

# Keeps the inverse of tanh finite at the ends of the box. Carlini and Wagner's code has 0.999999; there the tanh is so flat that
# black and white pixels hardly move in 100 steps.
_INNER = 0.999


@attrs.frozen(kw_only=True)
class CW(MinimalAttack):
    """Minimises ‖δ‖₂² − c · min(lead, 0) by Adam, with a c that is searched for each example; the shortest misclassified δ wins.

    The lead is that of the wrong classes (of the goal over all others). Within a box x + δ is its middle plus half its width
    times tanh(w), and w is free. The constant c begins at ``constant`` (None: what is right for the linear model at x), is
    multiplied by ten until x + δ is misclassified, then bisected, ``searches`` values in all. With ``abort_early`` a search
    leaves an example behind when its loss stalls. Runs on ℓ2 balls and the ℓ2 parts of a union.
    Source: carlini2017.
    """

    # Carlini and Wagner's code. It takes up to 10,000 steps at a rate of 0.01; 100 at 0.1 go as far
    searches: int = attrs.field(default=9, validator=count)
    steps: int = attrs.field(default=100, validator=count)
    rate: float = attrs.field(default=0.1, validator=positive, converter=as_float)
    constant: float | None = attrs.field(default=None, validator=optional(positive), converter=as_float)
    abort_early: bool = attrs.field(default=True, validator=flag)

    def searched(self, threat: Oracles) -> Sequence[Oracles]:
        return parts_measured_in(L2, threat, self, "ddn, fmn and fab")

    def seek(self, part: AttackBatch, start: Tensor, found: Smallest) -> None:
        tradeoff = balance(part, start, self.constant)
        for _ in range(self.searches):
            tradeoff.learn(self._descend(part, start, tradeoff.value, found))

    def _descend(self, part: AttackBatch, start: Tensor, constant: Tensor, found: Smallest) -> Tensor:
        """One search from ``start`` (n, *S) with constants (n,); True where it is misclassified, (n,)."""
        ever, place = torch.zeros_like(constant, dtype=torch.bool), torch.arange(len(part), device=part.x.device)
        bounds = _inner(part)
        free = _freed(part.x + start, bounds)
        adam, patience = Adam(free, self.rate), Patience(self.steps, constant)
        for step in range(self.steps):
            image, slope = _image(free, bounds)
            delta = image - part.x
            logits, lead, gradient = climb(part, delta, Margin())
            ever[place] |= found.record(part, delta, logits)
            loss = delta.flatten(1).square().sum(1) - constant * lead.clamp(max=0)
            downhill = 2 * delta - expand(constant * (lead < 0), delta) * gradient
            free = free + adam.step(downhill * slope)
            left = patience.going(step, loss).nonzero().squeeze(1)
            if self.abort_early and len(left) < len(part):
                part, place, free, constant = part.take(left), place[left], free[left], constant[left]
                adam.take(left)
                patience.take(left)
                if not len(part):
                    return ever
        ever[place] |= found.try_out(part, _image(free, bounds)[0] - part.x)
        return ever


_Inner = tuple[Tensor, Tensor] | None


def _inner(part: AttackBatch) -> _Inner:
    """The middle of the box and half its width, above 0, beside the examples; None without a box."""
    box = beside(part.threat.bounds, part.x)
    if box is None:
        return None
    low, high = (torch.as_tensor(side, dtype=torch.float64) for side in box)
    middle, half = (low + high) / 2, ((high - low) / 2).clamp(min=torch.finfo(part.x.dtype).tiny)
    return middle.to(part.x), half.to(part.x)


def _freed(image: Tensor, bounds: _Inner) -> Tensor:
    """The w of an image, (n, *S)."""
    if bounds is None:
        return image
    middle, half = bounds
    return (((image - middle) / half).clamp(-1, 1) * _INNER).atanh()


def _image(free: Tensor, bounds: _Inner) -> tuple[Tensor, Tensor]:
    """The image of w and its derivative, two of (n, *S)."""
    if bounds is None:
        return free, torch.ones_like(free)
    middle, half = bounds
    bent = free.tanh()
    return middle + half * bent, half * (1 - bent.square())
