"""The σ-zero attack: descent on a smooth count of the changed numbers."""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch, Margin, UnsupportedError
from inradius.components.validators import as_float, count, positive, radius
from inradius.sets.examples import expand
from inradius_minimal.adam import Adam
from inradius_minimal.counting import channels, ends, grain
from inradius_minimal.gradients import climb
from inradius_minimal.minimal import MinimalAttack
from inradius_minimal.schedule import cosine
from inradius_minimal.smallest import Smallest

# the last step's share of the first
_LAST = 0.1


@attrs.frozen(kw_only=True)
class SigmaZero(MinimalAttack):
    """Descends on (1/n) Σ ‖u_i‖² / (‖u_i‖² + σ) − min(lead, 0), and drops the pixels that stay below a threshold.

    u_i are the numbers of δ in pixel i of n, in widths of the box. Steps are those of Adam for gradients whose largest number is 1,
    at a rate of ``step``, which falls along a cosine. A pixel with no number of at least τ is put back to 0 after every step; τ, at
    first ``threshold``, grows by ``rate`` times the step where x + δ is misclassified and falls by as much where not. ``polish``
    rounds of a local search end it, which take pixels back, add one and take back again.
    Runs on sets that count what changes, as ``l0``.
    Source: cina2024, kingma2015 (Adam); the local search is ours.
    """

    name: ClassVar[str] = "sigma_zero"

    # Cinà et al. 2024, sec. 3: σ = 0.001, a first step of 1, τ = 0.3 and a rate of 0.01; 1000 steps, of which 100 come near
    steps: int = attrs.field(default=100, validator=count)
    sigma: float = attrs.field(default=1e-3, validator=positive, converter=as_float)
    step: float = attrs.field(default=1.0, validator=positive, converter=as_float)
    threshold: float = attrs.field(default=0.3, validator=radius, converter=as_float)
    rate: float = attrs.field(default=0.01, validator=radius, converter=as_float)

    def seek(self, part: AttackBatch, start: Tensor, found: Smallest) -> None:
        if not bool((grain(part) > 0).all()):
            raise UnsupportedError(
                f"{self} counts the numbers that change, and {part.threat} does not; allowed are sets as l0(k=...)"
            )
        many, (low, high) = channels(part), ends(part)
        width = _nonzero(high - low)
        delta, threshold = start, part.x.new_full((len(part),), self.threshold)
        adam = Adam(start, 1.0)
        for step in range(self.steps):
            logits, lead, gradient = climb(part, delta, Margin())
            fooled = found.record(part, delta, logits)
            pace = cosine(self.step, self.step * _LAST, step, self.steps)
            share = delta / width
            downhill = self._slope(share, many) - expand((~fooled).to(lead), delta) * gradient * width
            largest = _nonzero(downhill.flatten(1).abs().amax(1))
            share = share + pace * adam.step(downhill / expand(largest, downhill))
            delta = _kept(torch.clamp(share * width, low, high), width, threshold, many)
            turn = torch.where(fooled, self.rate, -self.rate).to(threshold) * pace
            threshold = (threshold + turn).clamp(min=0)
        found.try_out(part, delta)

    def _slope(self, share: Tensor, many: int) -> Tensor:
        """The gradient of the smooth count in u, (n, *S)."""
        pixels = share.reshape(len(share), many, -1)
        size = pixels.square().sum(1, keepdim=True)
        slope = 2 * self.sigma * pixels / (size + self.sigma).square() / pixels.shape[2]
        return slope.view_as(share)


def _kept(delta: Tensor, width: Tensor, threshold: Tensor, many: int) -> Tensor:
    """δ without the pixels that have no number of at least ``threshold`` (n,) widths, (n, *S)."""
    pixels = (delta / width).reshape(len(delta), many, -1)
    large = pixels.abs().amax(1, keepdim=True) >= threshold[:, None, None]
    return (delta.reshape(len(delta), many, -1) * large).view_as(delta)


def _nonzero(values: Tensor) -> Tensor:
    return torch.where(values > 0, values, torch.ones_like(values))
