"""The Jacobian-based saliency map attack: the most salient pixels go to an end of the box."""

import math
from typing import ClassVar

import attrs
import torch
from attrs.validators import in_
from torch import Tensor

from inradius import Attack, AttackBatch, Observer, Oracles, UnsupportedError
from inradius.attacks.ascent import gradient_of
from inradius.attacks.observer import BatchObserver
from inradius.components.validators import flag, share
from inradius_blackbox.feasible_box import corners_of
from inradius_blackbox.pixels import by_pixel, channels_of

# pairs are looked for among so many pixels, those that let the class lead by most on their own
_CANDIDATES = 64


@attrs.frozen(kw_only=True)
class JSMA(Attack):
    """The perturbation of the fewest pixels that it finds, each at an end of the box; an attack with gradients, for ℓ0.

    It aims at the goal, or else at the wrong class of the largest logit, anew in each step. With ∂ₜ, the change of that
    class's logit that a pair of pixels brings to first order, and ∂ₒ, the change of all other logits' sum, the pair of the
    largest −∂ₜ ∂ₒ with ∂ₜ > 0 > ∂ₒ moves; where there is none, that of the largest ∂ₜ − ∂ₒ. It ends when the example is
    misclassified, or when ``most`` of all pixels have moved, and then finds nothing. ``pairs=False`` moves one pixel at a time,
    ``toward`` one end of the box alone. Raises ``UnsupportedError`` for sets that do not count pixels.
    Source: papernot2016.
    """

    aims: ClassVar[bool] = True
    minimal: ClassVar[bool] = True

    # Papernot et al. 2016, sec. V: 14.5 % of an MNIST image's pixels
    most: float = attrs.field(default=0.145, validator=share)
    pairs: bool = attrs.field(default=True, validator=flag)
    # the paper's attacks take "high", or "low"
    toward: str = attrs.field(default="either", validator=in_(("either", "high", "low")))
    per: str = attrs.field(default="pixel", validator=in_(("pixel", "coordinate")))

    @torch.no_grad()
    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        x = batch.x
        _check_counts(batch.threat, x, self)
        low, high = corners_of(batch.threat, x, self)
        part, answer, shown = batch, torch.zeros_like(x), BatchObserver(observe)
        delta, channels = torch.zeros_like(x), channels_of(x, self.per)
        for _ in range(self._steps(x, channels) + 1):
            if not len(part):
                break
            fooled, gradients = _jacobian(part, delta)
            answer[part.rows[fooled]] = delta[fooled]
            alive = (~fooled).nonzero().squeeze(1)
            part, delta = part.take(alive), delta[alive]
            ends = (low[part.rows], high[part.rows])
            delta = self._move(delta, [one[alive] for one in gradients], ends, channels)
            shown.show(answer, part.rows, delta)
        return answer

    def _steps(self, x: Tensor, channels: int) -> int:
        pixels = x.shape[1:].numel() // channels
        return math.ceil(self.most * pixels / (2 if self.pairs else 1))

    def _move(self, delta: Tensor, gradients: list[Tensor], ends: tuple[Tensor, Tensor], channels: int) -> Tensor:
        """The perturbation with the most salient pixels, among those that have not moved, at an end of the box, (n, *S)."""
        target = self._target(gradients[0], ends)
        gain, loss = (by_pixel(gradient * target, channels).sum(1) for gradient in gradients)
        free = (by_pixel(delta, channels) == 0).all(1) & (by_pixel(target, channels) != 0).any(1)
        picked = _pairs(gain, loss, free) if self.pairs and gain.shape[1] > 1 else _singles(gain, loss, free)
        places = torch.zeros_like(free).scatter(1, picked, True) & free
        moved = torch.where(places[:, None], by_pixel(target, channels), by_pixel(delta, channels))
        return moved.view_as(delta)

    def _target(self, gradient: Tensor, ends: tuple[Tensor, Tensor]) -> Tensor:
        """The end that each number would go to, (n, *S)."""
        if self.toward != "either":
            return ends[self.toward == "high"]
        return torch.where(gradient > 0, ends[1], ends[0])


def _check_counts(threat: Oracles, x: Tensor, asker: Attack) -> None:
    """Raises ``UnsupportedError`` where half of a perturbation has another gauge than the whole."""
    ones = torch.ones_like(x)
    if threat.convex or not torch.equal(threat.gauge(ones, x), threat.gauge(ones / 2, x)):
        raise UnsupportedError(
            f"{asker} moves a few pixels as far as the box lets them, and {threat} does not count pixels; "
            "allowed are sets as l0(k=...)"
        )


def _jacobian(part: AttackBatch, delta: Tensor) -> tuple[Tensor, list[Tensor]]:
    """True where misclassified (n,), and the gradients of the class aimed at and of the sum of all others, each (n, *S)."""
    point = delta.detach().requires_grad_()
    with torch.enable_grad():
        logits = part.model(part.x + point)
        aim = part.goal if part.goal is not None else logits.detach().scatter(1, part.y[:, None], -torch.inf).argmax(1)
        aimed = logits.gather(1, aim[:, None]).squeeze(1)
        others = logits.sum(1) - aimed
    gradients = [gradient_of(aimed, point, keep=True), gradient_of(others, point)]
    return part.misclassified(logits.detach()), gradients


def _saliency(gain: Tensor, loss: Tensor) -> Tensor:
    """−gain · loss where the class gains and the others lose; below all of these, in order of the lead, elsewhere."""
    lead = gain - loss
    rest = lead - lead.flatten(1).amax(1).view(-1, *(1,) * (lead.ndim - 1))
    return torch.where((gain > 0) & (loss < 0), -gain * loss, rest.clamp(max=0) - 1)


def _singles(gain: Tensor, loss: Tensor, free: Tensor) -> Tensor:
    """The most salient pixel, (n, 1)."""
    return _saliency(gain, loss).masked_fill(~free, -torch.inf).argmax(1, keepdim=True)


def _pairs(gain: Tensor, loss: Tensor, free: Tensor) -> Tensor:
    """The most salient pair of pixels, (n, 2)."""
    count = min(_CANDIDATES, gain.shape[1])
    near = (gain - loss).masked_fill(~free, -torch.inf).topk(count, dim=1).indices
    a, b, open_ = gain.gather(1, near), loss.gather(1, near), free.gather(1, near)
    both = _saliency(a[:, :, None] + a[:, None], b[:, :, None] + b[:, None])
    # each pair once, and no pixel with itself
    apart = torch.ones(count, count, dtype=torch.bool, device=gain.device).triu(1)
    allowed = apart & open_[:, :, None] & open_[:, None]
    best = both.masked_fill(~allowed, -torch.inf).flatten(1).argmax(1)
    return near.gather(1, torch.stack([best // count, best % count], dim=1))
