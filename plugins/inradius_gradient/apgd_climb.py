"""Examples on their way up in APGD: where they stand, the best iterate of each, and when to go back to it."""

from abc import ABC, abstractmethod
from typing import Any, Self

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch
from inradius.sets.examples import expand


@attrs.define(eq=False, kw_only=True)
class Climb(ABC):
    """One run of ``steps`` steps; every tensor is aligned with ``part``.

    delta, gradient (n, *S), value (n,): the iterate, with the objective and its gradient there; best_delta, best_gradient,
    best_value: those of the best iterate of the run; size (n,): the step as a share of the radius.
    """

    steps: int
    part: AttackBatch
    delta: Tensor
    gradient: Tensor
    value: Tensor
    best_delta: Tensor
    best_gradient: Tensor
    best_value: Tensor
    size: Tensor

    @classmethod
    def begin(cls, steps: int, part: AttackBatch, delta: Tensor, **more: Any) -> Self:
        """A run from ``delta``, which ``arrive`` takes as iterate number 0."""
        nothing = delta.new_full((len(part),), -torch.inf)
        return cls(
            steps=steps,
            part=part,
            delta=delta,
            gradient=delta,
            value=nothing,
            best_delta=delta,
            best_gradient=delta,
            best_value=nothing,
            **more,
        )

    @abstractmethod
    def move(self) -> Tensor:
        """The next iterate, (n, *S)."""

    @abstractmethod
    def check(self, step: int, before: Tensor) -> None:
        """Adapts the step after iterate number ``step``; ``before`` (n,) is the objective of the one before it."""

    def take(self, index: Tensor) -> None:
        """Keeps only the examples in ``index``, which are places in the part."""
        self.part = self.part.take(index)
        for field in attrs.fields(type(self)):
            held = getattr(self, field.name)
            if isinstance(held, Tensor):
                setattr(self, field.name, held[index])

    def arrive(self, step: int, delta: Tensor, value: Tensor, gradient: Tensor | None) -> None:
        """Takes iterate number ``step``; its gradient is None after the last step."""
        before, better = self.value, value > self.best_value
        self.delta, self.value = delta, value
        self.best_value = torch.where(better, value, self.best_value)
        self.best_delta = torch.where(expand(better, delta), delta, self.best_delta)
        if gradient is not None:
            self.gradient = gradient
            self.best_gradient = torch.where(expand(better, delta), gradient, self.best_gradient)
            self.check(step, before)

    def go_back(self, where: Tensor) -> None:
        """Goes on from the best iterate in the examples ``where`` (n,)."""
        self.delta = torch.where(expand(where, self.delta), self.best_delta, self.delta)
        self.gradient = torch.where(expand(where, self.delta), self.best_gradient, self.gradient)
