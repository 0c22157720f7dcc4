"""FGSM from a random start."""

from typing import ClassVar

import attrs
from torch import Tensor

from inradius import Attack, AttackBatch, CrossEntropy, Objective, Observer
from inradius.components.validators import as_float, component, flag, positive
from inradius_gradient.single_step import climb_once


@attrs.frozen(kw_only=True)
class FGSMRS(Attack):
    """One long step from a random point η of Δ(x): δ = project(η + step · steepest(gradient at η)).

    ``step`` is a share of the radius, and η is drawn as ``pgd`` draws it, with ``uniform`` as in the paper. A ``start``
    of the call, projected, takes the place of η. Every example moves, also one that is misclassified already. It is an
    attack to train with: one to evaluate with takes more steps.
    Source: wong2020fast.
    """

    aims: ClassVar[bool] = True
    name = "fgsm_rs"

    # Wong et al. 2020, sec. 4.1: α = 10 / 255 for ε = 8 / 255; training collapses with longer steps
    step: float = attrs.field(default=1.25, validator=positive, converter=as_float)
    uniform: bool = attrs.field(default=False, validator=flag)
    objective: Objective = attrs.field(factory=CrossEntropy, validator=component(Objective))

    def maximised(self) -> Objective:
        return self.objective

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        start = batch.first_point(random=True)
        if start is None:
            start = batch.random_point(uniform=self.uniform)
        return climb_once(batch, start, self.objective, self.step, observe)
