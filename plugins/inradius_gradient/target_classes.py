"""The wrong classes that an attack should aim at."""

import torch
from torch import Tensor

from inradius import AttackBatch
from inradius.attacks.ascent import gradient_of
from inradius.attacks.objective import logit_difference

# a gradient for each candidate: with more classes, those of the largest logits
_CANDIDATES = 10


@torch.no_grad()
def target_classes(part: AttackBatch, count: int) -> Tensor:
    """The ``count`` wrong classes that a linear model of the network at x lets lead by most within Δ(x), (n, count).

    The lead of class j over the label is estimated by its value at x and ⟨g, linear_max(g)⟩ for its gradient g. Fewer
    columns where the model has fewer wrong classes.
    """
    point = torch.zeros_like(part.x).requires_grad_()
    with torch.enable_grad():
        logits = part.model(part.x + point)
    wrong = logits.detach().scatter(1, part.y[:, None], -torch.inf)
    candidates = wrong.topk(min(max(count, _CANDIDATES), logits.shape[1] - 1), dim=1).indices
    reach = torch.stack([_reach(part, logits, point, target) for target in candidates.unbind(1)], dim=1)
    return candidates.gather(1, reach.topk(min(count, reach.shape[1]), dim=1).indices)


def _reach(part: AttackBatch, logits: Tensor, point: Tensor, target: Tensor) -> Tensor:
    """The largest lead that the linear model gives the classes ``target`` (n,), (n,)."""
    with torch.enable_grad():
        ahead = logit_difference(logits, part.y, target)
    gradient = gradient_of(ahead, point, keep=True)
    best = part.threat.linear_max(gradient, part.x)
    return ahead.detach() + (gradient * best).flatten(1).sum(1)
