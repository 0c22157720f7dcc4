"""Repeated draws: the first one that is misclassified is kept."""

from collections.abc import Callable

import torch
from torch import Tensor

from inradius import AttackBatch, Observer
from inradius.attacks.observer import BatchObserver
from inradius_blackbox.decisions import misclassified


def repeat(whole: AttackBatch, queries: int, draw: Callable[[AttackBatch], Tensor], observe: Observer | None) -> Tensor:
    """For each example its first draw that is misclassified (with goals: has the goal's prediction), else its last, (B, *S).

    With the judgement of the answer each example costs at most so many queries. An input that is misclassified as it is
    gets a draw as well.
    """
    answer, shown = torch.zeros_like(whole.x), BatchObserver(observe)
    part = whole
    for number in range(queries):
        if not len(part):
            break
        found = draw(part)
        answer[part.rows] = found
        shown.show(answer, whole.rows, answer)
        if number == queries - 1:
            break
        fooled = misclassified(part, part.model(part.x + found))
        part = part.take((~fooled).nonzero().squeeze(1))
    return answer
