"""The same attack several times."""

import attrs
from torch import Tensor

from inradius import AttackBatch, Observer
from inradius.attacks.composite import MemberRun, WorstAnswers, WrappingAttack
from inradius.components.validators import count


@attrs.frozen(kw_only=True)
class Restarts(WrappingAttack):
    """The worst of ``n`` runs of an attack, each with random numbers of its own; later runs are for the examples that are left.

    An example that is misclassified keeps that answer; if the attack itself has ``keep_maximising``, every run is made and the
    largest of its objective counts. Only the first run begins at the ``start`` of the call. A minimal-norm attack runs ``n``
    times on every example, and the smallest gauge counts. An attack that draws nothing at random only repeats itself.
    Source: madry2018.
    """

    positional = ("attack", "n")

    # Croce and Hein 2020: the restarts of the "plus" version
    n: int = attrs.field(default=5, validator=count)

    @property
    def minimal(self) -> bool:  # type: ignore[override]
        return self.attack.minimal

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        survivors = not (self.minimal or self.goes_on())
        worst = WorstAnswers(batch, self.maximised(), survivors=survivors, smallest=self.minimal, observe=observe)
        return worst.run(MemberRun(attack=self.attack, branch=run, begins=run == 0) for run in range(self.n))
