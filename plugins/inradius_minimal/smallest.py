"""The smallest misclassified perturbation of each example, kept through a whole attack."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from inradius import AttackBatch, Margin, Observer
from inradius.attacks.best_so_far import BestSoFar
from inradius.attacks.verdict import unit
from inradius.sets.examples import expand

# The threshold of the lead above which an example counts as misclassified. At a lead of 0 the order of summation may decide
# that. The threshold is _ROUNDING rounding errors of the largest logit; at most _SHARE times the absolute lead at δ = 0, so
# that answers get longer by about that share; and at least _LEAST eps times the largest logit, the rounding error of the
# shallowest networks.
_ROUNDING = 256
_SHARE = 1e-3
_LEAST = 32

# the size of perturbations (n, *S) of the examples of a part, (n,)
Measure = Callable[[AttackBatch, Tensor], Tensor]


class Smallest:
    """``delta`` (B, *S), the misclassified perturbation of the smallest ``size`` (B,) so far; 0 and infinity where there is none.

    ``standing`` are the places (n,) of the examples that are right without a perturbation; the others are done, with δ = 0.
    ``lead`` (B,) is the lead of the wrong classes (with goals that of the goal) at ``delta``, and ``clean`` (B,) that at 0;
    a perturbation counts where the lead passes ``need`` (B,) ≥ 0, by which it is misclassified beyond rounding. ``brink`` (B, *S)
    and ``edge`` (B,) are the smallest perturbation whose lead is between zero and that, and its size.
    Both are kept as the best so far by the negative size. No example is ever done: a smaller perturbation always counts.
    """

    def __init__(self, whole: AttackBatch, measure: Measure, observe: Observer | None = None) -> None:
        self.whole, self._measure = whole, measure
        self._found, self._brink = BestSoFar(whole, observe), BestSoFar(whole)
        logits, self.clean = whole.score(self.delta, Margin())
        wrong = whole.misclassified(logits)
        self.lead = self.clean.clone()
        self.need = _need(logits, self.clean, unit(whole.x, logits))
        self._found.record(whole, self.delta, torch.where(wrong, 0.0, -torch.inf).to(self.clean))
        self.standing = (~wrong).nonzero().squeeze(1)

    @property
    def delta(self) -> Tensor:
        """The perturbations, (B, *S)."""
        return self._found.best

    @property
    def size(self) -> Tensor:
        """Their sizes, (B,)."""
        return -self._found.value

    @property
    def brink(self) -> Tensor:
        """The perturbations that are misclassified within rounding alone, (B, *S)."""
        return self._brink.best

    @property
    def edge(self) -> Tensor:
        """Their sizes, (B,)."""
        return -self._brink.value

    def afresh(self, whole: AttackBatch) -> Self:
        """A new, empty ``Smallest`` for ``whole``, which is the batch with one member of a union as its set.

        Examples that are misclassified at δ = 0 keep that answer.
        """
        other = object.__new__(type(self))
        other.whole, other.clean, other.need, other.standing = whole, self.clean, self.need, self.standing
        other._measure, other.lead = self._measure, self.clean.clone()
        other._found, other._brink = BestSoFar(whole, shown=self._found.shown), BestSoFar(whole)
        other._found.record(whole, other.delta, torch.where(self.size == 0, 0.0, -torch.inf).to(self.clean))
        return other

    def merge(self, other: Self) -> None:
        """Takes over what is smaller in ``other``."""
        better = self._found.record(self.whole, other.delta, -other.size)
        self.lead = torch.where(better, other.lead, self.lead)
        self._brink.record(self.whole, other.brink, -other.edge)

    def answer(self, radius: float = 1.0) -> Tensor:
        """The perturbations found, (B, *S); one within rounding where nothing smaller, or of a size up to ``radius``, is known."""
        rather = (self.edge < self.size) & (torch.isinf(self.size) | ((self.size > radius) & (self.edge <= radius)))
        return torch.where(expand(rather, self.delta), self.brink, self.delta)

    def past(self, part: AttackBatch, lead: Tensor) -> Tensor:
        """``lead`` (n,) minus the threshold ``need`` of each example of ``part``, (n,).

        It is positive where an example is misclassified by more than rounding error.
        """
        return lead - self.need[part.rows]

    def fooled(self, part: AttackBatch, logits: Tensor) -> Tensor:
        """True where logits (n, C) are misclassified beyond rounding, (n,)."""
        return self.past(part, Margin()(logits, part.y, part.goal)) > 0

    def record(self, part: AttackBatch, delta: Tensor, logits: Tensor) -> Tensor:
        """Keeps the misclassified perturbations (n, *S) that are smaller than what is known; True where misclassified, (n,)."""
        self.show(part, delta)
        fooled = self.fooled(part, logits)
        places = fooled.nonzero().squeeze(1)
        if len(places):
            self.keep(part.take(places), delta[places], logits[places])
        barely = (part.misclassified(logits) & ~fooled).nonzero().squeeze(1)
        if len(barely):
            self.keep_brink(part.take(barely), delta[barely])
        return fooled

    def try_out(self, part: AttackBatch, delta: Tensor) -> Tensor:
        """Judges perturbations (n, *S) by a forward pass and records them; True where misclassified, (n,)."""
        return self.record(part, delta, part.model(part.x + delta))

    def measure(self, part: AttackBatch, delta: Tensor) -> Tensor:
        """The size that is to be small, (n, *S) -> (n,)."""
        return self._measure(part, delta).to(self.size)

    def keep(self, part: AttackBatch, delta: Tensor, logits: Tensor) -> None:
        """Keeps the perturbations (n, *S), all of which are misclassified, where they are smaller than what is known."""
        lead = Margin()(logits, part.y, part.goal)
        better = self._found.record(part, delta, -self.measure(part, delta))
        self.lead[part.rows] = torch.where(better, lead, self.lead[part.rows])

    def keep_brink(self, part: AttackBatch, delta: Tensor) -> None:
        """Keeps the perturbations (n, *S), all of which are misclassified within rounding alone, where they are smaller."""
        self._brink.record(part, delta, -self.measure(part, delta))

    @property
    def observed(self) -> bool:
        """True where anyone looks at the iterates."""
        return self._found.shown.active

    def show(self, part: AttackBatch, delta: Tensor) -> None:
        """Shows the observer an iterate (n, *S) of the examples of a part."""
        self._found.show(part, delta)


def _need(logits: Tensor, clean: Tensor, unit: float) -> Tensor:
    """The threshold of the lead for logits (B, C) at δ = 0 with the lead ``clean`` (B,), (B,)."""
    size = logits.abs().amax(1)
    most = torch.minimum(_ROUNDING * unit * size, _SHARE * clean.abs())
    return torch.maximum(most, _LEAST * torch.finfo(logits.dtype).eps * size)
