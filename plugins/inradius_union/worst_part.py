"""The worst of independent attacks on the parts of a union."""

from typing import Self

import attrs
from attrs.validators import optional
from torch import Tensor

from inradius import AttackBatch, Objective, Observer
from inradius.attacks.composite import MemberRun, WorstAnswers, WrappingAttack
from inradius.components.validators import component, flag


@attrs.frozen(kw_only=True)
class WorstPart(WrappingAttack):
    """The worst perturbation of each example among the answers of one attack, run on every part of a union by itself.

    An example that is misclassified on one part is not attacked on the next ones, and keeps that answer; with
    ``keep_maximising`` every part is attacked and the largest objective counts alone. Both ``keep_maximising`` and
    ``objective`` are the attack's own where they are None (False and the cross-entropy for an attack that has none).
    An answer outside of its part counts as none. Training on it is "MAX" in the literature.
    Source: tramer2019.
    """

    objective: Objective | None = attrs.field(default=None, validator=optional(component(Objective)))
    keep_maximising: bool | None = attrs.field(default=None, validator=optional(flag))

    def maximised(self) -> Objective:
        return self.objective or self.attack.maximised()

    def goes_on(self) -> bool:
        return self.attack.goes_on() if self.keep_maximising is None else self.keep_maximising

    def for_training(self) -> Self:
        told = self.keep_maximising
        return attrs.evolve(super().for_training(), keep_maximising=told if told is None else True)

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        worst = WorstAnswers(batch, self.maximised(), survivors=not self.goes_on(), clean=False, observe=observe)
        places = range(len(batch.threat.members()))
        return worst.run(MemberRun(attack=self.attack, branch=place, place=place) for place in places)
