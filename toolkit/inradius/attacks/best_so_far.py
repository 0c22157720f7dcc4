"""The best perturbation of each example so far, and the examples that are still attacked."""

import torch
from torch import Tensor

from inradius.attacks.attack_batch import AttackBatch
from inradius.attacks.observer import BatchObserver, Observer
from inradius.sets.examples import expand


class BestSoFar:
    """The perturbation of the largest value of each example, ``best`` (B, *S), with that ``value`` (B,); 0 and −∞ at first.

    ``whole`` is the batch that the attack was given, ``open`` (B,) tells the examples that are still attacked. Methods take a
    part of the batch, whose rows ascend. The attack says what a value is: its objective, or the negative size of what is to
    be small. An earlier perturbation wins a tie. With ``shown`` it shows iterates to an observer that it shares.
    """

    def __init__(
        self, whole: AttackBatch, observe: Observer | None = None, *, shown: BatchObserver | None = None
    ) -> None:
        self.whole = whole
        self.best = torch.zeros_like(whole.x)
        self.value = whole.x.new_full((len(whole),), -torch.inf)
        self.open = torch.ones(len(whole), dtype=torch.bool, device=whole.x.device)
        self.shown = shown or BatchObserver(observe)

    def survivors(self) -> AttackBatch:
        """The examples that are still attacked."""
        return self.whole.take(self.open.nonzero().squeeze(1))

    def record(self, part: AttackBatch, delta: Tensor, value: Tensor, done: Tensor | None = None) -> Tensor:
        """Keeps perturbations (n, *S) where their value (n,) is larger; where they are kept, (n,).

        Examples that are ``done`` (n,), as those that are misclassified, keep theirs at any value and are attacked no more.
        """
        # no value loses precision to that of the inputs
        self.value = self.value.to(torch.promote_types(self.value.dtype, value.dtype))
        # indexing with every row would copy what is there already
        everyone = len(part) == len(self.whole)
        kept, best = (self.value, self.best) if everyone else (self.value[part.rows], self.best[part.rows])
        better = value > kept
        if done is not None:
            better |= done
            self.open[part.rows] = ~done
        value, best = torch.where(better, value, kept), torch.where(expand(better, delta), delta, best)
        if everyone:
            self.value, self.best = value, best
        else:
            self.value[part.rows], self.best[part.rows] = value, best
        return better

    def finish(self, part: AttackBatch, delta: Tensor, done: Tensor) -> None:
        """Keeps the perturbations (n, *S) of the examples that are ``done`` (n,), which are attacked no more; values stay."""
        rows = part.rows[done]
        self.best[rows] = delta[done]
        self.open[rows] = False

    def show(self, part: AttackBatch, delta: Tensor) -> None:
        """Shows the observer an iterate (n, *S) of the examples of a part, and the best perturbations of the others."""
        self.shown.show(self.best, part.rows, delta)
