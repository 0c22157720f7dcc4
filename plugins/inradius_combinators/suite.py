"""Suites: cascades that choose their attacks by the set."""

from abc import ABC, abstractmethod
from typing import ClassVar

import attrs
from torch import Tensor

from inradius import Attack, AttackBatch, Margin, Observer, Oracles
from inradius.attacks.composite import WorstAnswers, each


@attrs.frozen(kw_only=True)
class Suite(Attack, ABC):
    """A cascade of the attacks that ``cascade`` names for a set, each on the examples that the ones before left."""

    aims: ClassVar[bool] = True

    @abstractmethod
    def cascade(self, threat: Oracles) -> tuple[Attack, ...]:
        """The attacks on this set, in the order they run."""

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        attacks = self.cascade(batch.threat)
        if batch.goal is not None:
            for one in attacks:
                one.check_aims()
        return WorstAnswers(batch, Margin(), survivors=True, observe=observe).run(each(attacks))
