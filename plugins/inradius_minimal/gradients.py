"""Gradients that minimal-norm attacks follow."""

from collections.abc import Callable

import torch
from torch import Tensor

from inradius import AttackBatch, Margin, Objective
from inradius.attacks.ascent import gradient_of
from inradius.attacks.objective import logit_difference
from inradius.sets.examples import expand

# classes (n, A) for logits (n, C)
Choice = Callable[[Tensor], Tensor]


def climb(part: AttackBatch, delta: Tensor, objective: Objective) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, objective and its gradient at x + δ, (n, C), (n,) and (n, *S)."""
    point = delta.detach().requires_grad_()
    with torch.enable_grad():
        logits, value = part.score(point, objective)
    return logits.detach(), value.detach(), gradient_of(value, point)


def leads(part: AttackBatch, delta: Tensor, targets: Tensor | Choice) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """The logits at x + δ, and for each of A targets the pair of its lead over the label, (n,), and that lead's gradient, (n, *S).

    With goals there is one lead, that of the goal over the largest other class. The targets may also be chosen by the logits.
    """
    point = delta.detach().requires_grad_()
    with torch.enable_grad():
        logits = part.model(part.x + point)
        if part.goal is None:
            chosen = targets if isinstance(targets, Tensor) else targets(logits.detach())
            ahead = [logit_difference(logits, part.y, target) for target in chosen.unbind(1)]
        else:
            ahead = [Margin()(logits, part.y, part.goal)]
    found = [(value.detach(), gradient_of(value, point, keep=value is not ahead[-1])) for value in ahead]
    return logits.detach(), found


def unit(gradient: Tensor) -> Tensor:
    """The gradient at Euclidean length 1, 0 where it is 0, (n, *S)."""
    # first by the largest entry, so that no square underflows
    scaled = gradient / _nonzero(gradient.flatten(1).abs().amax(1), gradient)
    return scaled / _nonzero(length(scaled), scaled)


def heading(part: AttackBatch, gradient: Tensor, number: int) -> Tensor:
    """The gradient at Euclidean length 1, and where it is 0 a random direction, which goes on where masked models say nothing."""
    blind = (gradient == 0).flatten(1).all(1).nonzero().squeeze(1)
    way = unit(gradient)
    if len(blind):
        some = part.take(blind)
        noise = some.rng.fork(number).normal(tuple(gradient.shape[1:]), dtype=gradient.dtype)
        way[blind] = unit(noise.to(gradient.device))
    return way


def length(delta: Tensor) -> Tensor:
    """The Euclidean length of each, (n, *S) -> (n,)."""
    return delta.flatten(1).square().sum(1).sqrt()


def _nonzero(values: Tensor, like: Tensor) -> Tensor:
    return expand(torch.where(values > 0, values, torch.ones_like(values)), like)
