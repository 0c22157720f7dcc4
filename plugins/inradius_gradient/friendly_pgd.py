"""PGD that stops once it has won: friendly adversarial examples."""

import attrs
import torch
from attrs.validators import optional
from torch import Tensor

from inradius import Attack, CountedModel, CrossEntropy, ExampleRNG, Objective, Oracles
from inradius.attacks.ascent import Part, gradient_of
from inradius.attacks.attack import Observer
from inradius.components.validators import component, count, flag, integer, positive


@attrs.frozen(kw_only=True)
class FriendlyPGD(Attack):
    """The first iterate of PGD that fools the model, or the one ``tau`` misses later: δ ← project(δ + step · steepest(gradient)).

    An example makes ``steps`` steps, and at each iterate that fools the model spends one of its ``tau``; without one left it
    stops there. The last iterate is the answer, whatever its objective: barely wrong, where PGD's is as wrong as can be.
    ``step`` is a share of the radius; None means 2.5 / steps. It begins at a random point of Δ(x), at δ = 0 without
    ``random_start``, or at the ``start`` of the call, projected. An attack to train with.
    Source: zhang2020fat, Algorithm 1.
    """

    name = "friendly_pgd"

    # Zhang et al. 2020, sec. 6: 10 steps of 0.007 for ε = 0.031
    steps: int = attrs.field(default=10, validator=count)
    step: float | None = attrs.field(default=None, validator=optional(positive))
    # Zhang et al. 2020, sec. 6: 0 first, then 1 and 2
    tau: int = attrs.field(default=0, validator=integer)
    random_start: bool = attrs.field(default=True, validator=flag)
    objective: Objective = attrs.field(factory=CrossEntropy, validator=component(Objective))

    def perturb(
        self,
        model: CountedModel,
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        rng: ExampleRNG,
        *,
        start: Tensor | None = None,
        observe: Observer | None = None,
        goal: Tensor | None = None,
    ) -> Tensor:
        part = Part.whole(model, x, y, threat, rng, goal)
        reached = self._start(part, start)
        left = torch.full_like(y, self.tau)
        judged = getattr(observe, "judged", None)
        for step in range(self.steps):
            if observe is not None:
                observe(step, reached.clone())
            point = reached[part.rows].requires_grad_()
            with torch.enable_grad():
                logits, value = part.score(point, self.objective)
            fooled = part.fooled(logits.detach())
            if judged is not None:
                judged(part.rows, fooled)
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

    def _start(self, part: Part, start: Tensor | None) -> Tensor:
        if start is not None:
            return part.threat.project(start, part.x).clone()
        return part.threat.sample(part.x, rng=part.rng).clone() if self.random_start else torch.zeros_like(part.x)

    def _moved(self, part: Part, gradient: Tensor, delta: Tensor) -> Tensor:
        size = 2.5 / self.steps if self.step is None else self.step
        steepest = part.threat.steepest(gradient, part.x, delta, rng=part.rng)
        return part.threat.project(delta + size * steepest, part.x)
