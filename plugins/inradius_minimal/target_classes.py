"""The wrong classes that an attack aims at."""

import torch
from torch import Tensor

from inradius import AttackBatch


def target_classes(part: AttackBatch, delta: Tensor, classes: int) -> Tensor:
    """The ``classes`` wrong classes of the largest logits at x + δ, fewer where there are fewer; or the goal alone, (n, A)."""
    return strongest(part, part.model(part.x + delta), classes)


def strongest(part: AttackBatch, logits: Tensor, classes: int) -> Tensor:
    """The target classes for logits that are known, (n, C) -> (n, A)."""
    if part.goal is not None:
        return part.goal[:, None]
    wrong = logits.detach().scatter(1, part.y[:, None], -torch.inf)
    return wrong.topk(min(classes, wrong.shape[1] - 1), dim=1).indices
