"""Multi steepest descent."""

from collections.abc import Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch, CrossEntropy, InputError, Objective, Observer, Oracles
from inradius.attacks.ascent import Ascent
from inradius.attacks.maximising_attack import MaximisingAttack
from inradius.components.validators import component, count, flag, positive
from inradius.sets.examples import expand
from inradius.sets.norm import L1, L2, LINF

# Maini et al. 2020 (thesis, 5.4.1), MNIST: steps of 0.01, 0.2 and 20 · 0.05 (spread over k coordinates) in balls of radius
# 0.3, 1.5 and 12, as shares of the radius
_SHARES = {LINF: 0.01 / 0.3, L2: 0.2 / 1.5, L1: 1 / 12}


def _step(instance: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    if value is None:
        return
    for size in value if isinstance(value, tuple) and value else (value,):
        positive(instance, field, size)


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


@attrs.frozen(kw_only=True)
class MSD(MaximisingAttack):
    """Maximises the objective over a union: each step goes to the best of project_p(δ + step_p · steepest_p(gradient)).

    One gradient gives a candidate for every part p, and each example takes the candidate with the largest objective (one that
    is misclassified before all others, unless ``keep_maximising``); the best iterate is returned. ``step`` is a share of
    the parts' radii, a tuple one share for each part; None means 1/30 for ℓ∞, 2/15 for ℓ2, 1/12 for ℓ1 and at least
    2.5 / steps for any part. The first run begins at δ = 0, at a random point with ``random_start``, or at the ``start``
    of the call, projected; later runs begin at random and are for the examples that are left. On a set of one part it is
    PGD.
    Source: maini2020, Algorithm 9 of the thesis.
    """

    # Maini et al. 2020, CIFAR-10: 50 steps; 100 on MNIST
    steps: int = attrs.field(default=50, validator=count)
    step: float | tuple[float, ...] | None = attrs.field(default=None, validator=_step, converter=_as_tuple)
    restarts: int = attrs.field(default=1, validator=count)
    # Algorithm 9 begins at δ = 0; a second run of Maini et al. begins at random
    random_start: bool = attrs.field(default=False, validator=flag)
    objective: Objective = attrs.field(factory=CrossEntropy, validator=component(Objective))
    keep_maximising: bool = attrs.field(default=False, validator=flag)

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        sizes = self.sizes(batch.threat.members())
        ascent = Ascent(batch, self.objective, keep_maximising=self.keep_maximising, observe=observe)
        start = batch.first_point(random=self.random_start)

        def move(step: int, gradient: Tensor, delta: Tensor, part: AttackBatch) -> Tensor:
            return self._best(part, _candidates(part, gradient, delta, sizes))

        return ascent.climb(start, restarts=self.restarts, steps=self.steps, move=move)

    def sizes(self, parts: Sequence[Oracles]) -> tuple[float, ...]:
        """The step of each part as a share of its radius."""
        if isinstance(self.step, tuple):
            if len(self.step) != len(parts):
                raise InputError(
                    f"{self} has {len(self.step)} steps, but the set has {len(parts)} parts; allowed is one step each"
                )
            return self.step
        if self.step is not None:
            return (self.step,) * len(parts)
        # Madry et al. 2018: 2.5 radii in all reach the boundary from any start
        least = 2.5 / self.steps
        return tuple(
            max(_SHARES.get(part.measure, 0.0) if part.measure is not None and len(parts) > 1 else 0.0, least)
            for part in parts
        )

    def _best(self, part: AttackBatch, candidates: Sequence[Tensor]) -> Tensor:
        """The candidate of the largest objective of each example, (n, *S)."""
        best = candidates[0]
        if len(candidates) == 1:
            return best
        value = self._worth(part, best)
        for candidate in candidates[1:]:
            other = self._worth(part, candidate)
            best = torch.where(expand(other > value, best), candidate, best)
            value = torch.maximum(value, other)
        return best

    def _worth(self, part: AttackBatch, delta: Tensor) -> Tensor:
        logits, value = part.score(delta, self.objective)
        if self.keep_maximising:
            return value
        return torch.where(part.misclassified(logits), torch.inf, value)


def _candidates(part: AttackBatch, gradient: Tensor, delta: Tensor, sizes: Sequence[float]) -> list[Tensor]:
    """The point that a step of each member leads to, (n, *S) each."""
    return [
        member.project(delta + size * member.steepest(gradient, part.x, delta, rng=part.rng), part.x)
        for member, size in zip(part.threat.members(), sizes, strict=True)
    ]
