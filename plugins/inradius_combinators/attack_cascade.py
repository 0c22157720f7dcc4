"""One attack after the other, on the examples that are left."""

import attrs
from torch import Tensor

from inradius import AttackBatch, Margin, Observer
from inradius.attacks.composite import WorstAnswers, each
from inradius_combinators.members import AttackWithMembers


@attrs.frozen(kw_only=True)
class AttackCascade(AttackWithMembers):
    """The first answer that is misclassified, of ``members`` in the order given.

    Each member attacks only the examples that no earlier one broke, so list cheap attacks first. An example that stays right
    keeps the answer of the smallest margin. An answer outside of Δ(x) counts as none, also that of a minimal-norm attack. An
    example that is misclassified already is not attacked.
    Source: croce2020.
    """

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        return WorstAnswers(batch, Margin(), survivors=True, observe=observe).run(each(self.members))
