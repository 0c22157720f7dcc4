"""Sparse ℓ1 descent: steps on the coordinates of the largest gradient."""

import attrs
import torch
from attrs.validators import optional
from torch import Tensor

from inradius import AttackBatch, CrossEntropy, Objective, Observer, UnsupportedError
from inradius.attacks.ascent import Ascent, Move
from inradius.attacks.maximising_attack import MaximisingAttack
from inradius.components.validators import component, count, flag, positive, share
from inradius.sets.arithmetic.precision import working
from inradius.sets.examples import expand


@attrs.frozen(kw_only=True)
class SparseL1Descent(MaximisingAttack):
    """Maximises the objective by δ ← project(δ + step · e), e the signs of the gradient's largest entries, one radius long.

    Entries count as large from the ``quantile`` of |gradient| on, those being 0 whose coordinates stand at the end of what
    the set allows them (``hull``); e has gauge 1, in ℓ1 the sum ε. ``step`` is a share of the radius; None means 2 / steps.
    Which iterate is returned, which examples are attacked on and where runs begin is as in PGD, but the first one begins
    at δ = 0 unless ``random_start``. Raises ``UnsupportedError`` for sets whose parts are not convex, and those that sparse
    steps leave whatever their size, such as Wasserstein balls.
    Source: tramer2019.
    """

    # Tramèr and Boneh 2019 (as they gave it to CleverHans): 20 steps of 1 for ε = 10, the 99th percentile
    steps: int = attrs.field(default=20, validator=count)
    step: float | None = attrs.field(default=None, validator=optional(positive))
    quantile: float = attrs.field(default=0.99, validator=share)
    restarts: int = attrs.field(default=1, validator=count)
    random_start: bool = attrs.field(default=False, validator=flag)
    objective: Objective = attrs.field(factory=CrossEntropy, validator=component(Objective))
    keep_maximising: bool = attrs.field(default=False, validator=flag)

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        low, high = self._hull(batch)
        ascent = Ascent(batch, self.objective, keep_maximising=self.keep_maximising, observe=observe)
        start = batch.first_point(random=self.random_start)
        return ascent.climb(start, restarts=self.restarts, steps=self.steps, move=self._within(low, high))

    def _hull(self, batch: AttackBatch) -> tuple[Tensor, Tensor]:
        """The hull of the set, if single coordinates may move in it, two of (B, *S)."""
        threat, x = batch.threat, batch.x
        if not all(member.convex for member in threat.members()):
            raise UnsupportedError(
                f"{self} was given {threat}, which has a part that is not convex; allowed are convex sets and their unions"
            )
        low, high = threat.hull(x)
        half = (high / 2).flatten(1)
        first = half.argmax(1, keepdim=True)
        one = torch.zeros_like(half).scatter(1, first, half.gather(1, first)).view_as(x)
        if bool((threat.violation(one, x) > 0).any()):
            raise UnsupportedError(
                f"{self} was given {threat}, where no coordinate moves alone; "
                "allowed are sets like linf, l2 and l1, that hold small steps along each coordinate"
            )
        return low, high

    def _within(self, low: Tensor, high: Tensor) -> Move:
        """The step, where every coordinate of the whole batch stays between ``low`` and ``high``, (B, *S) each."""
        size = 2 / self.steps if self.step is None else self.step

        def move(step: int, gradient: Tensor, delta: Tensor, part: AttackBatch) -> Tensor:
            left = torch.where(gradient > 0, high[part.rows] - delta, delta - low[part.rows])
            rounding = 8 * torch.finfo(delta.dtype).eps * (part.x.abs() + delta.abs())
            signs = _largest(gradient * (left > rounding), self.quantile)
            gauge = part.threat.gauge(signs, part.x)
            whole_radius = signs / expand(torch.where(gauge > 0, gauge, 1.0), signs)
            return part.threat.project(delta + size * whole_radius.to(delta), part.x)

        return move


def _largest(gradient: Tensor, quantile: float) -> Tensor:
    """The signs of the entries that are, in size, at or above the quantile of their example, else 0, (n, *S)."""
    sizes = gradient.flatten(1).abs().to(working(gradient.dtype))
    place = min(int(quantile * sizes.shape[1]) + 1, sizes.shape[1])
    least = sizes.kthvalue(place, dim=1).values
    return gradient.sign() * (sizes >= least[:, None]).view_as(gradient)
