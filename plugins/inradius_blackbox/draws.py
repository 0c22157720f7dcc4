"""Repeated draws: the first one that fools the model is kept."""

from collections.abc import Callable

import torch
from torch import Tensor

from inradius.attacks.ascent import Part
from inradius.attacks.attack import Observer
from inradius_blackbox.decisions import fools


def repeat(whole: Part, queries: int, draw: Callable[[Part], Tensor], observe: Observer | None) -> Tensor:
    """The first draw of each example that has the prediction looked for, or its last one, (B, *S).

    With the judgement of the answer each example costs at most so many queries. An input that is misclassified as it is
    gets a draw as well.
    """
    answer = torch.zeros_like(whole.x)
    part = whole
    for number in range(queries):
        if not len(part):
            break
        found = draw(part)
        answer[part.rows] = found
        if observe is not None:
            observe(number, answer.clone())
        if number == queries - 1:
            break
        fooled = fools(part, part.model(part.x + found))
        part = part.take((~fooled).nonzero().squeeze(1))
    return answer
