"""The smallest fooling perturbation of each example, kept through a whole attack."""

from collections.abc import Callable
from itertools import count
from typing import Self

import torch
from torch import Tensor

from inradius import Margin
from inradius.attacks.ascent import Part
from inradius.attacks.attack import Observer
from inradius.attacks.verdict import unit
from inradius.sets.examples import expand

# How far the lead goes past zero, in units of rounding of the largest logit: an answer that stops at the boundary fools by
# one order of summation and not by another. It is no more than a share of the lead at 0, and so of the length, but never
# less than what the shallowest networks round by.
_ROUNDING = 256
_SHARE = 1e-3
_LEAST = 32

# the size of perturbations (n, *S) of the examples of a part, (n,)
Measure = Callable[[Part, Tensor], Tensor]


class Smallest:
    """``delta`` (B, *S), the fooling perturbation of the smallest ``size`` (B,) so far; 0 and infinity where there is none.

    ``standing`` are the places (n,) of the examples that are right without a perturbation; the others are done, with δ = 0.
    ``lead`` (B,) is the lead of the wrong classes (with goals that of the goal) at ``delta``, and ``clean`` (B,) that at 0;
    a perturbation fools where the lead passes ``need`` (B,) ≥ 0, by which it does so beyond rounding. ``brink`` (B, *S) and
    ``edge`` (B,) are the smallest perturbation whose lead is between zero and that, and its size.
    """

    def __init__(self, whole: Part, measure: Measure, observe: Observer | None = None) -> None:
        self.whole = whole
        self.delta = torch.zeros_like(whole.x)
        self._measure, self._observe, self._numbers = measure, observe, count()
        logits, self.clean = whole.score(self.delta, Margin())
        fooled = whole.fooled(logits)
        self.lead = self.clean.clone()
        self.need = _need(logits, self.clean, unit(whole.x))
        self.size = torch.where(fooled, 0.0, torch.inf).to(self.clean)
        self.brink, self.edge = torch.zeros_like(self.delta), torch.full_like(self.size, torch.inf)
        self.standing = (~fooled).nonzero().squeeze(1)

    def afresh(self, whole: Part) -> Self:
        """The same with nothing found, for ``whole``, the batch with a part of the set in the set's place."""
        other = object.__new__(type(self))
        other.whole, other.clean, other.need, other.standing = whole, self.clean, self.need, self.standing
        other.delta, other.lead = torch.zeros_like(self.delta), self.clean.clone()
        other.size = torch.where(self.size == 0, self.size, torch.inf)
        other.brink, other.edge = torch.zeros_like(self.delta), torch.full_like(self.size, torch.inf)
        other._measure, other._observe, other._numbers = self._measure, self._observe, self._numbers
        return other

    def merge(self, other: Self) -> None:
        """Takes over what is smaller in ``other``."""
        better = other.size < self.size
        self.size = torch.where(better, other.size, self.size)
        self.lead = torch.where(better, other.lead, self.lead)
        self.delta = torch.where(expand(better, self.delta), other.delta, self.delta)
        closer = other.edge < self.edge
        self.edge = torch.where(closer, other.edge, self.edge)
        self.brink = torch.where(expand(closer, self.brink), other.brink, self.brink)

    def answer(self, radius: float = 1.0) -> Tensor:
        """The perturbations found, (B, *S); within rounding where nothing smaller, or of a size up to ``radius``, fools."""
        rather = (self.edge < self.size) & (torch.isinf(self.size) | ((self.size > radius) & (self.edge <= radius)))
        return torch.where(expand(rather, self.delta), self.brink, self.delta)

    def past(self, part: Part, lead: Tensor) -> Tensor:
        """How far a lead (n,) of the examples of a part is past what fools, (n,); below zero it does not."""
        return lead - self.need[part.rows]

    def fooled(self, part: Part, logits: Tensor) -> Tensor:
        """Whether logits (n, C) fool, (n,)."""
        return self.past(part, Margin()(logits, part.y, part.goal)) > 0

    def record(self, part: Part, delta: Tensor, logits: Tensor) -> Tensor:
        """Keeps the perturbations (n, *S) that fool and are smaller than what is known; which ones fool at all, (n,)."""
        self.show(part, delta)
        fooled = self.fooled(part, logits)
        places = fooled.nonzero().squeeze(1)
        if len(places):
            self.keep(part.take(places), delta[places], logits[places])
        barely = (part.fooled(logits) & ~fooled).nonzero().squeeze(1)
        if len(barely):
            self.keep_brink(part.take(barely), delta[barely])
        return fooled

    def try_out(self, part: Part, delta: Tensor) -> Tensor:
        """Judges perturbations (n, *S) by a forward pass and records them; which ones fool, (n,)."""
        return self.record(part, delta, part.model(part.x + delta))

    def measure(self, part: Part, delta: Tensor) -> Tensor:
        """What is to be small, (n, *S) -> (n,)."""
        return self._measure(part, delta).to(self.size)

    def keep(self, part: Part, delta: Tensor, logits: Tensor) -> None:
        """Keeps the perturbations (n, *S), all of which fool, where they are smaller than what is known."""
        rows, size = part.rows, self.measure(part, delta)
        better = size < self.size[rows]
        self.size[rows] = torch.where(better, size, self.size[rows])
        self.lead[rows] = torch.where(better, Margin()(logits, part.y, part.goal), self.lead[rows])
        self.delta[rows] = torch.where(expand(better, delta), delta, self.delta[rows])

    def keep_brink(self, part: Part, delta: Tensor) -> None:
        """Keeps the perturbations (n, *S), all of which fool within rounding alone, where they are smaller than such ones."""
        rows, size = part.rows, self.measure(part, delta)
        better = size < self.edge[rows]
        self.edge[rows] = torch.where(better, size, self.edge[rows])
        self.brink[rows] = torch.where(expand(better, delta), delta, self.brink[rows])

    @property
    def observed(self) -> bool:
        """Whether anyone looks at the iterates."""
        return self._observe is not None

    def show(self, part: Part, delta: Tensor) -> None:
        """Shows the observer an iterate (n, *S) of the examples of a part."""
        if self._observe is not None:
            shown = self.delta.clone()
            shown[part.rows] = delta
            self._observe(next(self._numbers), shown)


def _need(logits: Tensor, clean: Tensor, unit: float) -> Tensor:
    """The lead that is beyond rounding, (B, C), (B,) -> (B,)."""
    size = logits.abs().amax(1)
    most = torch.minimum(_ROUNDING * unit * size, _SHARE * clean.abs())
    return torch.maximum(most, _LEAST * torch.finfo(logits.dtype).eps * size)
