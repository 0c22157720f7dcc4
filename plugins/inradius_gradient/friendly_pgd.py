"""PGD that stops once it has won: friendly adversarial examples."""

from typing import ClassVar

import attrs
import torch
from attrs.validators import optional
from torch import Tensor

from inradius import Attack, AttackBatch, CrossEntropy, Objective, Observer
from inradius.attacks.ascent import gradient_of
from inradius.components.validators import component, count, flag, integer, positive


@attrs.frozen(kw_only=True)
class FriendlyPGD(Attack):
    """The first iterate of PGD that is misclassified, or the one ``tau`` misses later: δ ← project(δ + step · steepest(gradient)).

    An example makes ``steps`` steps, and at each iterate that is misclassified spends one of its ``tau``; without one left it
    stops there. The last iterate is the answer, whatever its objective: barely wrong, where PGD's is as wrong as can be.
    ``step`` is a share of the radius; None means 2.5 / steps. It begins at a random point of Δ(x), at δ = 0 without
    ``random_start``, or at the ``start`` of the call, projected. An attack to train with.
    Source: zhang2020fat, Algorithm 1.
    """

    aims: ClassVar[bool] = True
    name = "friendly_pgd"

    # Zhang et al. 2020, sec. 6: 10 steps of 0.007 for ε = 0.031
    steps: int = attrs.field(default=10, validator=count)
    step: float | None = attrs.field(default=None, validator=optional(positive))
    # Zhang et al. 2020, sec. 6: 0 first, then 1 and 2
    tau: int = attrs.field(default=0, validator=integer)
    random_start: bool = attrs.field(default=True, validator=flag)
    objective: Objective = attrs.field(factory=CrossEntropy, validator=component(Objective))

    def maximised(self) -> Objective:
        return self.objective

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        part, reached = batch, self._start(batch)
        left = torch.full_like(batch.y, self.tau)
        for step in range(self.steps):
            if observe is not None:
                observe(step, reached.clone())
            point = reached[part.rows].requires_grad_()
            with torch.enable_grad():
                logits, value = part.score(point, self.objective)
            fooled = part.misclassified(logits.detach())
            if observe is not None:
                observe.judged(part.rows, fooled)
            going = (~fooled | (left[part.rows] > 0)).nonzero().squeeze(1)
            left[part.rows] -= fooled.to(left)
            if not len(going):
                return reached
            gradient = gradient_of(value, point)[going]
            part = part.take(going)
            reached[part.rows] = self._moved(part, gradient, reached[part.rows])
        if observe is not None:
            observe(self.steps, reached.clone())
        return reached

    def _start(self, batch: AttackBatch) -> Tensor:
        start = batch.first_point(random=self.random_start)
        return (batch.threat.sample(batch.x, rng=batch.rng) if start is None else start).clone()

    def _moved(self, part: AttackBatch, gradient: Tensor, delta: Tensor) -> Tensor:
        size = 2.5 / self.steps if self.step is None else self.step
        steepest = part.threat.steepest(gradient, part.x, delta, rng=part.rng)
        return part.threat.project(delta + size * steepest, part.x)
