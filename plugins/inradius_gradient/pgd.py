"""Projected gradient ascent."""

import attrs
from attrs.validators import optional
from torch import Tensor

from inradius import AttackBatch, CrossEntropy, Objective, Observer
from inradius.attacks.ascent import Ascent
from inradius.attacks.maximising_attack import MaximisingAttack
from inradius.components.validators import component, count, flag, positive

# the directions, and why one has no step of its own
_NEEDS_A_STEP = {
    "steepest": "",
    "gradient": "a gradient has any length",
    "sign": "its length is no share of a radius",
}


@attrs.frozen(kw_only=True)
class PGD(MaximisingAttack):
    """Maximises the objective over Δ(x) by δ ← project(δ + step · steepest(gradient)); the best iterate is returned.

    ``step`` is a share of the radius, because the steepest step has the length of the whole radius; None means 2.5
    / steps. With ``direction="gradient"`` a step goes along the gradient itself (proximal gradient ascent); it has
    no length of its own, so that ``step`` must be given, in squared units of the inputs for a unit of the
    objective. With ``direction="sign"`` every coordinate moves by ``step``, in units of the inputs, in any set: on
    a Wasserstein ball that is the attack of wong2019, whose iterates are points of the ball here. An example is
    attacked until an iterate is misclassified, and keeps that iterate; with ``keep_maximising`` every step is taken
    and the largest objective counts alone. The first run begins at a random point of Δ(x), at δ = 0 without
    ``random_start``, or at the ``start`` of the call, projected; later runs begin at random and are for the
    examples that are left. A random point is one that the set draws, in ℓ∞ with a fifth of the coordinates at ±ε;
    with ``uniform`` it is drawn uniformly where the set knows how, in ℓ∞ in the ball, as the paper has it. With
    ``noise`` the first run begins at normal noise of this deviation, in units of the inputs, projected: near x, and
    yet off it, as objectives with a minimum at x need. With ``constant`` = n the first n steps have the full size,
    and the later ones 1/2, 1/3, … of it. Without ``random_start`` it is the basic iterative method (BIM), which has
    step=1 / steps in its paper.
    Source: madry2018, kurakin2017 (BIM), latorre2023 (constant), wong2019 (sign).
    """

    # Madry et al. 2018, sec. 5: 40 steps on MNIST
    steps: int = attrs.field(default=40, validator=count)
    # Madry et al. 2018, sec. 5: 2.5 ε / steps reaches the boundary from any start and can still move along it
    step: float | None = attrs.field(default=None, validator=optional(positive))
    restarts: int = attrs.field(default=1, validator=count)
    random_start: bool = attrs.field(default=True, validator=flag)
    noise: float | None = attrs.field(default=None, validator=optional(positive))
    objective: Objective = attrs.field(factory=CrossEntropy, validator=component(Objective))
    keep_maximising: bool = attrs.field(default=False, validator=flag)
    direction: str = attrs.field(default="steepest")
    # False: starts at faces find a little more (docs/reference/attacks/gradient.md)
    uniform: bool = attrs.field(default=False, validator=flag)
    constant: int | None = attrs.field(default=None, validator=optional(count))

    @direction.validator
    def _check_direction(self, _: object, value: object) -> None:
        if value not in _NEEDS_A_STEP:
            raise ValueError(f"direction={value!r} is not allowed; allowed are 'steepest', 'gradient' and 'sign'")
        if self.step is None and (reason := _NEEDS_A_STEP[value]):
            raise ValueError(f"direction={value!r} needs a step, since {reason}; allowed is step=... > 0")

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        ascent = Ascent(batch, self.objective, keep_maximising=self.keep_maximising, observe=observe)
        if batch.start is None and self.noise is not None:
            noise = batch.rng.normal(tuple(batch.x.shape[1:]), dtype=batch.x.dtype).to(batch.x.device)
            batch = attrs.evolve(batch, start=self.noise * noise)
        start = batch.first_point(random=self.random_start)
        return ascent.climb(start, restarts=self.restarts, steps=self.steps, move=self._move, uniform=self.uniform)

    def _move(self, step: int, gradient: Tensor, delta: Tensor, part: AttackBatch) -> Tensor:
        size = 2.5 / self.steps if self.step is None else self.step
        if self.constant is not None:
            size /= max(1, step - self.constant + 2)
        if self.direction == "steepest":
            gradient = part.threat.steepest(gradient, part.x, delta, rng=part.rng)
        elif self.direction == "sign":
            gradient = gradient.sign()
        return part.threat.project(delta + size * gradient, part.x)
