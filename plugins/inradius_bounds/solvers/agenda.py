"""Which rows of a property a solver is still asked for: all of them, or those that an example's verdict waits for."""

from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from inradius import Property


@attrs.frozen(eq=False)
class Agenda:
    """The rows of one example in the order in which a solver is asked for them; it ends where nothing more is wanted.

    value (K,): the bounds so far, each replaced by ``answer``; error (K,): what a bound must be above to be a proof; slack (K,):
    how much higher another pass might bound a row; clauses (M, K): as those of the property; decide: whether the verdict alone
    is wanted. Without it every row is asked for, in turn. With it a clause that a row proves is done, and a clause whose rows
    are all refuted ends everything: answered by so much below 0 that no pass of the method proves them. Of the other clauses
    the one with the lowest bound comes first, as it is the likeliest to be refuted, and of its rows the one with the highest
    bound, as one that is proved is enough.
    """

    value: Tensor
    error: Tensor
    slack: Tensor
    clauses: Tensor
    decide: bool
    asked: Tensor
    refuted: Tensor

    @classmethod
    def of(cls, prop: Property, value: Tensor, error: Tensor | None, slack: Tensor | None = None) -> "Agenda":
        """The agenda of one example, with bounds (K,) so far; without errors every row is asked for.

        An example within its error of 0 is bounded again in float64, and so is refuted by no row that is.
        """
        clauses = torch.eye(len(value), dtype=torch.bool) if prop.clauses is None else prop.clauses
        none = torch.zeros(len(value), dtype=torch.bool, device=value.device)
        known = value.detach().clone().nan_to_num(nan=-torch.inf)
        above, more = (
            torch.zeros_like(known) if part is None else part.detach().clone().nan_to_num(nan=torch.inf)
            for part in (error, slack)
        )
        return cls(known, above, more, clauses.to(value.device), error is not None, none, none.clone())

    @property
    def doubt(self) -> Tensor:
        """How far below 0 an answer refutes its row, (K,)."""
        return self.error + self.slack

    def __iter__(self) -> Iterator[int]:
        while (row := self._next()) is not None:
            self.asked[row] = True
            yield row

    def answer(self, row: int, value: Tensor, error: Tensor | None = None) -> None:
        """Takes what a solver's answer proves of a row, with its own error. Without an answer none is proved or refuted."""
        self.value[row] = value.detach()
        if error is not None:
            self.error[row] = error.detach()
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
