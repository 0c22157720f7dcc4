"""Fewer changed pixels: local search in the set of perturbations that are misclassified."""

import torch
from torch import Tensor

from inradius import AttackBatch, Margin
from inradius.sets.examples import expand
from inradius_minimal.counting import channels, ends
from inradius_minimal.gradients import climb
from inradius_minimal.smallest import Smallest

# shares of the box that a push moves the changed numbers by, one after the other
_PUSHES = (1.0, 0.5, 0.25)
# a pixel that is added is one of so many best ones, in turn
_CHOICES = 4
# of more changed pixels only so many are tried at once
_TRIED = 64


def thin(found: Smallest, rounds: int) -> None:
    """Looks near every answer for one of fewer pixels, in ``rounds`` rounds, and records what is misclassified.

    A round pushes the changed pixels to where the lead is largest, then takes them back one by one, those first that the
    lead needs least. Where none can be taken back, it adds the pixel that the gradient likes best, so that the next round may
    take back two.
    """
    rows = (torch.isfinite(found.size) & (found.size > 0)).nonzero().squeeze(1)
    part, delta = found.whole.take(rows), found.delta[rows]
    if not len(part):
        return
    many, (low, high) = channels(part), ends(part)
    for number in range(rounds):
        delta, gradient = _pushed(part, delta, low, high, found)
        fewer = _fewer(part, delta, many, found)
        stuck = (fewer == delta).flatten(1).all(1)
        delta = fewer
        if number < rounds - 1:
            # too far from the best answer: back to it
            lost = stuck & (found.measure(part, delta) > found.size[part.rows])
            delta = torch.where(expand(lost, delta), found.delta[part.rows], delta)
            more = _added(delta, gradient, low, high, many, number % _CHOICES)
            delta = torch.where(expand(stuck & ~lost, delta), more, delta)


def _pushed(part: AttackBatch, delta: Tensor, low: Tensor, high: Tensor, found: Smallest) -> tuple[Tensor, Tensor]:
    """The best perturbation of the same pixels that steps along the sign of the gradient meet, and the gradient there."""
    changed = delta != 0
    logits, best, slope = climb(part, delta, Margin())
    answer, point, gradient = delta, delta, slope
    for pace in _PUSHES:
        point = torch.clamp(point + pace * (high - low) * gradient.sign() * changed, low, high)
        logits, lead, gradient = climb(part, point, Margin())
        found.record(part, point, logits)
        better = expand(lead > best, delta)
        answer, slope = torch.where(better, point, answer), torch.where(better, gradient, slope)
        best = torch.maximum(best, lead)
    return answer, slope


def _fewer(part: AttackBatch, delta: Tensor, many: int, found: Smallest) -> Tensor:
    """The perturbations without the pixels that they do not need, (n, *S)."""
    pixels = delta.reshape(len(delta), many, -1)
    changed = (pixels != 0).any(1)
    count = min(int(changed.sum(1).max()), _TRIED)
    if not count:
        return delta
    size, places = torch.where(changed, pixels.abs().amax(1), torch.inf).topk(count, dim=1, largest=False)
    rows, column = torch.isfinite(size).nonzero().unbind(1)
    tried = _without(delta[rows], places[rows, column], many)
    lead = torch.full_like(size, -torch.inf)
    some = part.take(rows)
    lead[rows, column] = found.past(some, some.score(tried, Margin())[1])
    ranked, order = lead.sort(dim=1, descending=True, stable=True)
    places = places.gather(1, order)
    for turn in range(count):
        asked = (ranked[:, turn] > 0).nonzero().squeeze(1)
        if not len(asked):
            break
        shorter = _without(delta[asked], places[asked, turn], many)
        fooled = found.try_out(part.take(asked), shorter)
        delta = delta.index_copy(0, asked, torch.where(expand(fooled, shorter), shorter, delta[asked]))
    return delta


def _without(delta: Tensor, place: Tensor, many: int) -> Tensor:
    """Each perturbation without its pixel in ``place`` (n,), (n, *S)."""
    pixels = delta.reshape(len(delta), many, -1).clone()
    pixels[torch.arange(len(delta), device=delta.device), :, place] = 0
    return pixels.view_as(delta)


def _added(delta: Tensor, gradient: Tensor, low: Tensor, high: Tensor, many: int, rank: int) -> Tensor:
    """The perturbations with one pixel more, which a linear model likes best but for ``rank`` others, (n, *S)."""
    corner = torch.where(gradient > 0, high, low)
    pixels, ahead = delta.reshape(len(delta), many, -1), corner.reshape(len(delta), many, -1)
    gain = (gradient * corner).reshape(len(delta), many, -1).sum(1)
    gain = gain.masked_fill((pixels != 0).any(1), -torch.inf)
    place = gain.topk(min(rank + 1, gain.shape[1]), dim=1).indices[:, -1]
    rows = torch.arange(len(delta), device=delta.device)
    changed = pixels.clone()
    changed[rows, :, place] = ahead[rows, :, place]
    return changed.view_as(delta)
