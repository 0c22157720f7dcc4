"""R+FGSM: a random step, and then one along the gradient."""

from typing import ClassVar

import attrs
from attrs.validators import optional
from torch import Tensor

from inradius import Attack, AttackBatch, CrossEntropy, Objective, Observer
from inradius.components.validators import as_float, component, positive, share
from inradius_gradient.single_step import climb_once


@attrs.frozen(kw_only=True)
class RFGSM(Attack):
    """One step from a random step: δ = project(η + step · steepest(gradient at η)).

    η is the ``noise`` share of a step of steepest ascent along a direction drawn at random, of ℓ∞ noise · ε times random
    signs, within the set. ``step`` is a share of the radius; None is the remaining length, 1 − noise. ``step=1`` is the full step
    of table 4.3 of the thesis. A ``start`` of the call takes its place. Every example moves, also one that is misclassified
    already.
    Source: tramer2018.
    """

    aims: ClassVar[bool] = True
    name = "r_fgsm"

    # Tramèr et al. 2018, sec. 3.3: α = ε / 2
    noise: float = attrs.field(default=0.5, validator=share)
    step: float | None = attrs.field(default=None, validator=optional(positive), converter=as_float)
    objective: Objective = attrs.field(factory=CrossEntropy, validator=component(Objective))

    def maximised(self) -> Objective:
        return self.objective

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        start, threat, x, rng = batch.start, batch.threat, batch.x, batch.rng
        if start is None:
            direction = rng.normal(tuple(x.shape[1:]), dtype=x.dtype).to(x.device)
            start = self.noise * threat.steepest(direction, x, x.new_zeros(x.shape), rng=rng)
        step = 1 - self.noise if self.step is None else self.step
        return climb_once(batch, threat.project(start, x), self.objective, step, observe)
