"""The fast gradient sign method, on any set."""

from typing import ClassVar

import attrs
from torch import Tensor

from inradius import Attack, AttackBatch, CrossEntropy, Objective, Observer
from inradius.attacks.ascent import gradient_of
from inradius.components.validators import component


@attrs.frozen(kw_only=True)
class FGSM(Attack):
    """A maximiser over Δ(x) of the linearised objective: δ = linear_max(gradient), with one gradient.

    Of ℓ∞ it is ε times the sign of the gradient, within the box. ``start`` moves the point where the gradient is taken.
    Every example moves, also one that is misclassified already.
    Source: goodfellow2015.
    """

    aims: ClassVar[bool] = True

    objective: Objective = attrs.field(factory=CrossEntropy, validator=component(Objective))

    def maximised(self) -> Objective:
        return self.objective

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        point = batch.first_point(random=False).detach().requires_grad_()
        _, value = batch.score(point, self.objective)
        delta = batch.threat.linear_max(gradient_of(value, point), batch.x)
        if observe is not None:
            observe(0, point.detach())
            observe(1, delta)
        return delta
