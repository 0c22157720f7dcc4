"""What a search has found out about the clauses of one example's property."""

import attrs
import torch
from torch import Tensor


@attrs.define(eq=False)
class Outcome:
    """The state of a search for C clauses.

    lowest (C,): the lowest bound of the domains that are proved so far; inf at first. open (C,): the lowest bound of those that
    are not. stuck (C,): clauses with a domain whose minimum is too near 0 to be decided. witness (1, *S): a perturbation that
    violates the property; None where none is found. visited: the count of domains that were bounded. real: true where domains are
    proved at level "real" only.
    """

    lowest: Tensor
    open: Tensor
    stuck: Tensor
    witness: Tensor | None = None
    visited: int = 0
    real: bool = False

    @classmethod
    def of(cls, count: int, like: Tensor) -> "Outcome":
        """The state before a search."""
        infinite = like.new_full((count,), torch.inf)
        return cls(infinite, -infinite, torch.zeros(count, dtype=torch.bool, device=like.device))

    def refute(self, witness: Tensor | None) -> None:
        """Keeps the first perturbation that violates the property; None changes nothing."""
        if self.witness is None:
            self.witness = witness

    def close(self, clause: Tensor, bound: Tensor) -> None:
        """Counts domains as proved, with their bounds."""
        self.lowest = self.lowest.scatter_reduce(0, clause, bound.to(self.lowest), "amin")

    @property
    def bound(self) -> Tensor:
        """The bound of each clause over all of Δ(x), (C,)."""
        return torch.minimum(self.lowest, self.open)
