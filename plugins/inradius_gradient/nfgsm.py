"""N-FGSM: FGSM around strong noise."""

from typing import ClassVar

import attrs
from torch import Tensor

from inradius import Attack, AttackBatch, CrossEntropy, Objective, Observer
from inradius.components.validators import as_float, component, positive, radius
from inradius_gradient.single_step import climb_once


@attrs.frozen(kw_only=True)
class NFGSM(Attack):
    """One step from noise η that may leave the set: δ = project(η + step · steepest(gradient at η)).

    η is a random point of the set at ``noise`` times its radius; ``step`` is a share of the radius. In its paper η + step
    trains a network without a projection; here, as of every attack, the answer is a point of Δ(x), so it is projected. A
    ``start`` of the call, projected, takes the place of η. Every example moves, also one that is misclassified already.
    Source: dejorge2022.
    """

    aims: ClassVar[bool] = True
    name = "n_fgsm"

    # de Jorge et al. 2022, sec. 4: noise of k = 2 ε and a step of α = ε
    noise: float = attrs.field(default=2.0, validator=radius, converter=as_float)
    step: float = attrs.field(default=1.0, validator=positive, converter=as_float)
    objective: Objective = attrs.field(factory=CrossEntropy, validator=component(Objective))

    def maximised(self) -> Objective:
        return self.objective

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        start = batch.first_point(random=True)
        if start is None:
            start = batch.threat.scaled(self.noise).sample(batch.x, rng=batch.rng)
        return climb_once(batch, start, self.objective, self.step, observe)
