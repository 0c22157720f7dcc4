"""The rows of a property that a solver still has to answer: all of them, or those that an example's verdict depends on."""

from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from inradius import Property


@attrs.frozen(eq=False)
class Agenda:
    """The rows of one example in the order in which a solver answers them. It ends where no further answer is wanted.

    value (K,): the bounds so far, each replaced by ``answer``. error (K,): the number that a bound must exceed to be a proof.
    slack (K,): the most by which another pass may raise the bound of a row. clauses (M, K): as those of the property. decide:
    true where only the verdict is wanted. Without ``decide`` every row is answered in turn. With it, a clause with a proved row
    is done. A clause whose rows are all refuted ends the agenda; a row is refuted by an answer so far below 0 that no pass of
    the method proves it. Among the other clauses the one with the lowest bound is first, because it is the likeliest to be
    refuted. Within it the row with the highest bound is first, because one proved row is enough.
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
        """The agenda of one example with bounds (K,) so far. Without errors every row is answered.

        An example within its error of 0 is bounded again in float64, so a row within its error refutes nothing.
        """
        clauses = torch.eye(len(value), dtype=torch.bool) if prop.clauses is None else prop.clauses
        none = torch.zeros(len(value), dtype=torch.bool, device=value.device)
        known = value.detach().clone().nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
        above, more = (
            torch.zeros_like(known)
            if part is None
            else part.detach().clone().nan_to_num(nan=torch.inf, posinf=torch.inf)
            for part in (error, slack)
        )
        return cls(known, above, more, clauses.to(value.device), error is not None, none, none.clone())

    @property
    def doubt(self) -> Tensor:
        """The distance below 0 at which an answer refutes its row, (K,)."""
        return self.error + self.slack

    def __iter__(self) -> Iterator[int]:
        while (row := self._next()) is not None:
            self.asked[row] = True
            yield row

    def answer(self, row: int, value: Tensor, error: Tensor | None = None) -> None:
        """Records the bound that a solver's answer proves for a row, with its own error.

        A row without an answer is neither proved nor refuted.
        """
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
        """A mask of the rows of each clause that still wait for an answer, (M, K)."""
        if not self.decide:
            return ~self.asked[None]
        left = self.clauses & ~(self.clauses & (self.value > self.error)).any(1, keepdim=True)
        # a clause whose rows are all refuted decides the example
        lost = (~(self.clauses & ~self.refuted).any(1)).any()
        return left & ~self.asked & ~lost
