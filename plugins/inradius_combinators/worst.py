"""Several attacks on every example."""

import attrs
from torch import Tensor

from inradius import AttackBatch, Margin, Observer
from inradius.attacks.composite import WorstAnswers, each
from inradius_combinators.members import AttackWithMembers


@attrs.frozen(kw_only=True)
class Worst(AttackWithMembers):
    """The perturbation of the smallest margin among the answers of all ``members``; every one attacks every example.

    An answer outside of Δ(x) counts as none, also that of a minimal-norm attack; where all members are such attacks, the
    smallest gauge that is misclassified counts instead, as for each of them. δ = 0 is an answer too.
    Source: tramer2019.
    """

    @property
    def minimal(self) -> bool:  # type: ignore[override]
        return all(member.minimal for member in self.members)

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        worst = WorstAnswers(batch, Margin(), survivors=False, smallest=self.minimal, observe=observe)
        return worst.run(each(self.members))
