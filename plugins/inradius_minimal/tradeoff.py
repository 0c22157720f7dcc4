"""The constant that weighs the lead against size, searched for each example."""

import torch
from torch import Tensor

from inradius import AttackBatch, Margin
from inradius_minimal.gradients import climb, length

# a constant that fails is multiplied by this until one has worked
_FACTOR = 10.0


class Tradeoff:
    """``value`` (n,), raised tenfold where it was too small to misclassify; once one was large enough, bisection in between.

    Source: carlini2017, sec. 4.
    """

    def __init__(self, first: Tensor) -> None:
        self.value = first
        self._low, self._high = torch.zeros_like(first), torch.full_like(first, torch.inf)

    def learn(self, fooled: Tensor) -> None:
        """Moves on after a search in which ``fooled`` (n,) tells for which examples the constants were large enough."""
        self._high = torch.where(fooled, torch.minimum(self._high, self.value), self._high)
        self._low = torch.where(fooled, self._low, torch.maximum(self._low, self.value))
        middle = (self._low + self._high) / 2
        self.value = torch.where(torch.isfinite(self._high), middle, self.value * _FACTOR)


def balance(part: AttackBatch, delta: Tensor, constant: float | None) -> Tradeoff:
    """A search for c in ‖δ‖₂² − c · lead that begins at ``constant``, or at what is right for a linear model of it, (n,).

    There the shortest δ has the length −lead / ‖gradient‖₂, and 2 δ = c · gradient.
    """
    if constant is not None:
        return Tradeoff(part.x.new_full((len(part),), constant))
    _, lead, gradient = climb(part, delta, Margin())
    steep = length(gradient).square()
    return Tradeoff(torch.where(steep > 0, 2 * lead.abs() / steep, 1.0))
