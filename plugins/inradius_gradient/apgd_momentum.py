"""APGD's steps with momentum, halved where the ascent stalls, on any set.

Source: croce2020, algorithm 1.
"""

from typing import Self

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch
from inradius.sets.examples import expand
from inradius_gradient.apgd_climb import Climb

# Croce and Hein 2020, sec. 3: the first step, in radii; α, the share of the new step beside the momentum; ρ, the share of
# steps that must raise the objective
_FIRST = 2.0
_NEW = 0.75
_RISING = 0.75


def checkpoints(steps: int) -> tuple[int, ...]:
    """The steps after which the step size is judged: ⌈p N⌉ with p = 0, .22 and then increments less .03, at least .06.

    Source: croce2020.
    """
    found, percent, increment = [0], 22, 22
    while percent <= 100:
        found.append(-(-percent * steps // 100))
        increment = max(increment - 3, 6)
        percent += increment
    return tuple(sorted(set(found)))


@attrs.define(eq=False, kw_only=True)
class Momentum(Climb):
    """z = project(δ + size · steepest(gradient)); the next δ is project(δ + .75 (z − δ) + .25 (δ − the previous δ)).

    rises (n,): how many steps since the last checkpoint raised the objective; halved (n,): whether that one halved the
    step; mark (n,): the best objective then.
    """

    checkpoints: tuple[int, ...]
    previous: Tensor | None
    rises: Tensor
    halved: Tensor
    mark: Tensor

    @classmethod
    def start(cls, steps: int, part: AttackBatch, delta: Tensor) -> Self:
        """A run from ``delta``."""
        none = delta.new_zeros(len(part))
        return cls.begin(
            steps,
            part,
            delta,
            size=torch.full_like(none, _FIRST),
            checkpoints=checkpoints(steps),
            previous=None,
            rises=none,
            halved=torch.ones_like(none, dtype=torch.bool),
            mark=none,
        )

    def move(self) -> Tensor:
        threat, x, delta = self.part.threat, self.part.x, self.delta
        step = threat.steepest(self.gradient, x, delta, rng=self.part.rng)
        ahead = threat.project(torch.addcmul(delta, expand(self.size, delta), step), x)
        previous, self.previous = self.previous, delta
        if previous is None:
            return ahead
        # δ + .75 (z − δ) + .25 (δ − previous)
        mixed = torch.lerp(delta, ahead, _NEW).add_(delta - previous, alpha=1 - _NEW)
        return threat.project(mixed, x)

    def check(self, step: int, before: Tensor) -> None:
        if step == 0:
            self.mark = self.best_value
            return
        self.rises = self.rises + (self.value > before)
        if step not in self.checkpoints:
            return
        window = step - self.checkpoints[self.checkpoints.index(step) - 1]
        stuck = ~self.halved & (self.best_value <= self.mark)
        self.halved = stuck | (self.rises < _RISING * window)
        self.size = torch.where(self.halved, self.size / 2, self.size)
        self.go_back(self.halved)
        self.mark, self.rises = self.best_value, torch.zeros_like(self.rises)
