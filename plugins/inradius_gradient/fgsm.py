"""The fast gradient sign method, on any set."""

import attrs
import torch
from torch import Tensor

from inradius import Attack, CountedModel, CrossEntropy, ExampleRNG, Objective, Oracles
from inradius.attacks.ascent import Part, gradient_of
from inradius.attacks.attack import Observer
from inradius.components.validators import component


@attrs.frozen(kw_only=True)
class FGSM(Attack):
    """A maximiser over Δ(x) of the linearised objective: δ = linear_max(gradient), with one gradient.

    Of ℓ∞ it is ε times the sign of the gradient, within the box. ``start`` moves the point where the gradient is taken.
    Every example moves, also one that is misclassified already.
    Source: goodfellow2015.
    """

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
        point = (torch.zeros_like(x) if start is None else threat.project(start, x)).detach().requires_grad_()
        _, value = part.score(point, self.objective)
        delta = threat.linear_max(gradient_of(value, point), x)
        if observe is not None:
            observe(0, point.detach())
            observe(1, delta)
        return delta
