"""Which rows of a property a solver is still asked for: all of them, or those that an example's verdict waits for."""

from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from inradius import Property


@attrs.frozen(eq=False)
class Agenda:
    """The rows of one example in the order in which a solver is asked for them; it ends where nothing more is wanted.

    value (K,): the bounds so far, each replaced by ``answer``; error (K,): what a bound must be above to be a proof; doubt (K,):
    what an answer must be below 0 by, so that no other pass proves the row; clauses (M, K): as those of the property; decide:
    whether the verdict alone is wanted. Without it every row is asked for, in turn. With it a clause that a row proves is
    done, and a clause whose rows are all refuted, for the method, ends everything. Of the other clauses the one with the
    lowest bound comes first, as it is the likeliest to be refuted, and of its rows the one with the highest bound, as one that
    is proved is enough.
    """

    value: Tensor
    error: Tensor
    doubt: Tensor
    clauses: Tensor
    decide: bool
    asked: Tensor
    refuted: Tensor

    @classmethod
    def of(cls, prop: Property, value: Tensor, error: Tensor | None, doubt: Tensor | None = None) -> "Agenda":
        """The agenda of one example, with bounds (K,) so far; without errors every row is asked for.

        ``doubt`` is the error, where it is not given: an example within its rounding error of 0 is bounded again in float64.
        """
        clauses = torch.eye(len(value), dtype=torch.bool) if prop.clauses is None else prop.clauses
        none = torch.zeros(len(value), dtype=torch.bool, device=value.device)
        known = value.detach().clone().nan_to_num(nan=-torch.inf)
        above = torch.zeros_like(known) if error is None else error.detach().nan_to_num(nan=torch.inf)
        below = above if doubt is None else doubt.detach().nan_to_num(nan=torch.inf)
        return cls(known, above, below, clauses.to(value.device), error is not None, none, none.clone())

    def __iter__(self) -> Iterator[int]:
        while (row := self._next()) is not None:
            self.asked[row] = True
            yield row

    def answer(self, row: int, value: Tensor) -> None:
        """Takes the bound that a solver's answer gives a row. Without an answer a row is neither proved nor refuted."""
        self.value[row] = value.detach()
        self.refuted[row] = self.value[row] < -self.doubt[row]

    def _next(self) -> int | None:
        waiting = self._waiting()
        if not bool(waiting.any()):
            return None
        if not self.decide:
            return int(waiting.any(0).nonzero()[0])
        part = waiting[waiting.any(1)]
        highest = torch.where(part, self.value, -torch.inf).amax(1)
        clause = part[highest.argmin()]
        return int(clause.nonzero()[torch.argmax(self.value[clause])])

    def _waiting(self) -> Tensor:
        """The rows of each clause that are still to be asked for, (M, K)."""
        if not self.decide:
            return ~self.asked[None]
        left = self.clauses & ~(self.clauses & (self.value > self.error)).any(1, keepdim=True)
        # a clause with no row that might hold decides the example
        lost = (~(self.clauses & ~self.refuted).any(1)).any()
        return left & ~self.asked & ~lost
