"""Attacks that maximise an objective, and stop at an example that is misclassified unless they are told to go on."""

from abc import ABC
from typing import Any, ClassVar, Self

import attrs

from inradius.attacks.attack import Attack
from inradius.attacks.objective import Objective


class MaximisingAttack(Attack, ABC):
    """An attack with the fields ``objective`` and ``keep_maximising``, which subclasses declare among their own.

    ``keep_maximising`` says if it goes on with an example that is misclassified; steps of training ask it to. It aims at the
    goals of the batch, as ``AttackBatch.score`` does.
    """

    __slots__ = ()
    aims: ClassVar[bool] = True

    # no fields of this class: the order of fields is that of the spec
    objective: Objective
    keep_maximising: bool

    def maximised(self) -> Objective:
        return self.objective

    def goes_on(self) -> bool:
        return self.keep_maximising

    def for_training(self) -> Self:
        changes: dict[str, Any] = {"keep_maximising": True}
        return attrs.evolve(self, **changes)
