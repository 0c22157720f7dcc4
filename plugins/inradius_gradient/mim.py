"""The momentum iterative method."""

from typing import Any

import attrs
import torch
from attrs.validators import optional
from torch import Tensor

from inradius import AttackBatch, CrossEntropy, Objective, Observer
from inradius.attacks.ascent import Ascent, Move
from inradius.attacks.maximising_attack import MaximisingAttack
from inradius.components.validators import as_float, component, count, flag, positive
from inradius.sets.arithmetic.precision import working


def _inertia(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, float) or not 0 <= value < float("inf"):
        raise ValueError(f"{field.name}={value!r} is not allowed; allowed is a finite number ≥ 0")


@attrs.frozen(kw_only=True)
class MIM(MaximisingAttack):
    """Maximises the objective over Δ(x) by δ ← project(δ + step · steepest(m)), m ← momentum · m + gradient / ‖gradient‖₁.

    With ``momentum=0`` it is PGD. ``step`` is a share of the radius; None means 1 / steps. Which iterate is returned, which
    examples are attacked on and where runs begin is as in PGD, but the first one begins at δ = 0 unless ``random_start``;
    every run begins without momentum.
    Source: dong2018.
    """

    # Dong et al. 2018, sec. 4.1: 10 steps of ε / 10 from the image, with a decay factor of 1
    steps: int = attrs.field(default=10, validator=count)
    step: float | None = attrs.field(default=None, validator=optional(positive))
    momentum: float = attrs.field(default=1.0, validator=_inertia, converter=as_float)
    restarts: int = attrs.field(default=1, validator=count)
    random_start: bool = attrs.field(default=False, validator=flag)
    objective: Objective = attrs.field(factory=CrossEntropy, validator=component(Objective))
    keep_maximising: bool = attrs.field(default=False, validator=flag)

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        ascent = Ascent(batch, self.objective, keep_maximising=self.keep_maximising, observe=observe)
        start = batch.first_point(random=self.random_start)
        return ascent.climb(start, restarts=self.restarts, steps=self.steps, move=self._with_momentum(batch.x))

    def _with_momentum(self, x: Tensor) -> Move:
        """The step, which remembers the gradients of the examples of ``x`` (B, *S)."""
        size = 1 / self.steps if self.step is None else self.step
        memory = torch.zeros_like(x, dtype=working(x.dtype))

        def move(step: int, gradient: Tensor, delta: Tensor, part: AttackBatch) -> Tensor:
            past = memory[part.rows] * (self.momentum if step else 0.0)
            memory[part.rows] = past + _normalised(gradient.to(memory))
            direction = memory[part.rows].to(gradient)
            ascended = delta + size * part.threat.steepest(direction, part.x, delta, rng=part.rng)
            return part.threat.project(ascended, part.x)

        return move


def _normalised(gradient: Tensor) -> Tensor:
    """The gradient over its mean size, which keeps half precision from underflow where the sum would not, (n, *S)."""
    # by the largest entry first, so that neither tiny nor huge gradients are lost
    rows = gradient.flatten(1)
    tiny = torch.finfo(rows.dtype).tiny
    rows = rows / rows.abs().amax(1, keepdim=True).clamp(min=tiny)
    return (rows / rows.abs().mean(1, keepdim=True).clamp(min=tiny)).view_as(gradient)
