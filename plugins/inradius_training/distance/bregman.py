"""Divergences between predictions from a convex function ψ: Δ(p, q) = ψ(p) − ψ(q) − ⟨∇ψ(q), p − q⟩."""

from collections.abc import Callable
from typing import Literal

import attrs
from torch import Tensor

from inradius import Dataset
from inradius.training.losses import cross_entropy, entropy, kl_divergence, squared_distance, targets_of

Psi = Literal["negative_entropy", "squares"]


@attrs.frozen
class Bregman:
    """The functions of ψ that a loss needs; predictions are given as logits (B, C), and every value is (B,).

    divergence(p, q): Δ(p, q); fit(p, batch): Δ(y, p) from the label, up to a constant; spread(p): −ψ(p), large where p
    is even; objective: the spec of the attack's objective.
    """

    divergence: Callable[[Tensor, Tensor], Tensor]
    fit: Callable[[Tensor, Dataset], Tensor]
    spread: Callable[[Tensor], Tensor]
    objective: str

    def separated(self, clean: Tensor, between: Tensor, attacked: Tensor) -> Tensor:
        """Δ(p, p*) + Δ(p*, p'), at most Δ(p, p') where p* lies on the segment from p to p'."""
        return self.divergence(clean, between) + self.divergence(between, attacked)

    def rewarded(self, clean: Tensor, attacked: Tensor, of_clean: float, of_attacked: float) -> Tensor:
        """The weighted sum of the spreads of both predictions, (B,)."""
        return of_clean * self.spread(clean) + of_attacked * self.spread(attacked)


def _squared_error(logits: Tensor, batch: Dataset) -> Tensor:
    return (logits.softmax(1) - targets_of(batch, logits.shape[1], logits.dtype)).square().sum(1)


BREGMAN: dict[Psi, Bregman] = {
    "negative_entropy": Bregman(lambda p, q: kl_divergence(q, of=p), cross_entropy, entropy, "kl()"),
    "squares": Bregman(
        lambda p, q: squared_distance(q, of=p),
        _squared_error,
        lambda p: -p.softmax(1).square().sum(1),
        "squared_distance()",
    ),
}
