"""The Pointwise attack: pixels of an adversarial input are reset, one after the other."""

from typing import ClassVar

import attrs
import torch
from attrs.validators import in_
from torch import Tensor

from inradius import Attack, AttackBatch, Observer
from inradius.components.validators import count
from inradius_blackbox.decisions import Decisions
from inradius_blackbox.feasible_box import corners_of, far
from inradius_blackbox.pixels import by_pixel, channels_of
from inradius_blackbox.salt_and_pepper import season

# bisections of one pixel in the second phase
_PASSES = 10


@attrs.frozen(kw_only=True)
class Pointwise(Attack):
    """The adversarial perturbation of the smallest gauge that it finds, of few pixels, from predictions alone.

    It begins with salt and pepper, or the ``start`` of the call, and resets the changed pixels one by one, in random order,
    where the input stays adversarial, until none can be reset. If the gauge is one that shorter changes lower, each pixel
    left is then moved towards its clean value by bisection, again until that changes nothing. With ``per="coordinate"``,
    and for inputs that are no images, each number counts by itself. Raises ``UnsupportedError`` for sets without a box.
    Source: schott2019.
    """

    aims: ClassVar[bool] = True
    minimal: ClassVar[bool] = True
    black_box: ClassVar[bool] = True

    # enough for the noise, and for each of an MNIST image's 784 pixels to be tried about five times
    queries: int = attrs.field(default=5000, validator=count)
    # as salt_and_pepper() makes
    tries: int = attrs.field(default=1000, validator=count)
    per: str = attrs.field(default="pixel", validator=in_(("pixel", "coordinate")))

    @torch.no_grad()
    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        decisions = Decisions(batch, self.queries, observe)
        channels = channels_of(batch.x, self.per)
        self._begin(decisions, channels)
        ready = (decisions.found & (decisions.gauge > 0)).nonzero().squeeze(1)
        part = decisions.whole.take(ready)
        delta = decisions.best[ready]
        delta = _until_nothing_changes(decisions, part, delta, channels, passes=0)
        gauge, half = part.threat.gauge(delta, part.x), part.threat.gauge(delta / 2, part.x)
        shrinks = (half < gauge).nonzero().squeeze(1)
        _until_nothing_changes(decisions, part.take(shrinks), delta[shrinks], channels, passes=_PASSES)
        return decisions.answer()

    def _begin(self, decisions: Decisions, channels: int) -> None:
        whole = decisions.whole
        if whole.start is not None:
            corners_of(whole.threat, whole.x, self)
            decisions.ask(whole, torch.zeros_like(whole.x))
            part = decisions.survivors()
            decisions.ask(part, far(part.threat).project(whole.start[part.rows], part.x))
        if not bool(decisions.found.all()):
            season(decisions, min(self.tries, self.queries - 2), channels, self)


def _until_nothing_changes(
    decisions: Decisions, part: AttackBatch, delta: Tensor, channels: int, *, passes: int
) -> Tensor:
    """The perturbations after rounds over all changed pixels, each reset or, with ``passes``, moved, (n, *S)."""
    answer, going = delta.clone(), torch.arange(len(part), device=delta.device)
    for number in range(len(decisions.best[:1].flatten()) + 1):
        if not len(going):
            break
        some = part.take(going)
        after = _round(decisions, some, answer[going], channels, number, passes)
        # what bisection still finds below this is its own resolution
        worth = 0.0 if not passes else 1e-3 * answer[going].abs().amax(dim=tuple(range(1, delta.ndim)))
        change = (after - answer[going]).abs().flatten(1).amax(1)
        answer[going] = after
        going = going[(change > worth) & (decisions.left[some.rows] > 0)]
        decisions.show()
    return answer


def _round(decisions: Decisions, part: AttackBatch, delta: Tensor, channels: int, number: int, passes: int) -> Tensor:
    """One visit of every changed pixel in random order, (n, *S)."""
    pixels = by_pixel(delta, channels).clone()
    changed = (pixels != 0).any(1)
    # changed pixels first, in the order of random numbers
    keys = part.rng.fork(2000 + 2 * number + bool(passes)).uniform((pixels.shape[2],)).to(delta.device)
    order = torch.where(changed, keys, 2.0).argsort(dim=1)
    lengths = changed.sum(1)
    for visit in range(int(lengths.max()) if len(part) else 0):
        here = (lengths > visit).nonzero().squeeze(1)
        some, place = part.take(here), order[here, visit]
        before = pixels[here, :, place].clone()
        pixels[here, :, place] = 0
        fooled = decisions.ask(some, pixels[here].view_as(delta[here]))
        after = torch.where(fooled[:, None], torch.zeros_like(before), before)
        pixels[here, :, place] = after
        if passes:
            rest = (~fooled).nonzero().squeeze(1)
            moved = _halved(decisions, some.take(rest), pixels[here[rest]], place[rest], passes)
            pixels[here[rest]] = moved
    return pixels.view_as(delta)


def _halved(decisions: Decisions, part: AttackBatch, pixels: Tensor, place: Tensor, passes: int) -> Tensor:
    """The perturbations with one pixel of each as near its clean value as bisection finds, (n, channels, pixels)."""
    rows, trial = torch.arange(len(part), device=pixels.device), pixels.clone()
    high = pixels[rows, :, place]
    low = torch.zeros_like(high)
    for _ in range(passes if len(part) else 0):
        middle = (low + high) / 2
        trial[rows, :, place] = middle
        hit = decisions.ask(part, trial.view_as(part.x))[:, None]
        high, low = torch.where(hit, middle, high), torch.where(hit, low, middle)
    trial[rows, :, place] = high
    return trial
