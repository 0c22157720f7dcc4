"""The oracles of a union: every member is asked, and each example takes the best answer."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor

from inradius import AffineOperator, ExampleRNG, Oracles
from inradius.sets.norm import Norm
from inradius_union.choice import chosen, distance, largest, pairing, smallest

# Members whose hard constraints are violated by less than membership forgives count as keeping them.
_FORGIVEN = 1e-5

Sides = tuple[Tensor, Tensor]


class UnionOracles(Oracles, ABC):
    """{δ : δ ∈ one of the members}; support, hull and bound_affine are those of the members' convex hull."""

    @abstractmethod
    def members(self) -> tuple[Oracles, ...]:
        """The members, none of them a union."""

    @property
    def convex(self) -> bool:
        return len(self.members()) == 1 and self.members()[0].convex

    @property
    def is_box(self) -> bool:
        return len(self.members()) == 1 and self.members()[0].is_box

    @property
    def norm(self) -> Norm | None:
        return self.members()[0].norm if len(self.members()) == 1 else None

    @property
    def measure(self) -> Norm | None:
        return self.members()[0].measure if len(self.members()) == 1 else None

    def room(self, x: Tensor) -> Sides:
        return self._widest(lambda part: part.room(x))

    @property
    def radius(self) -> float | Tensor | None:
        return self.members()[0].radius if len(self.members()) == 1 else None

    @property
    def symmetric(self) -> bool:
        return all(part.symmetric for part in self.members())

    @property
    def tight(self) -> bool:
        return all(part.tight for part in self.members())

    def project(self, delta: Tensor, x: Tensor) -> Tensor:
        points = [part.project(delta, x) for part in self.members()]
        return chosen(points, smallest([distance(delta, point) for point in points]))

    def linear_max(self, c: Tensor, x: Tensor) -> Tensor:
        points = [part.linear_max(c, x) for part in self.members()]
        return chosen(points, largest([pairing(c, point) for point in points]))

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        """The smallest gauge among the members whose hard constraints hold, or are the least violated, (B,)."""
        if len(self.members()) == 1:
            return self.members()[0].gauge(delta, x)
        violations = torch.stack([part.violation(delta, x) for part in self.members()])
        eligible = violations <= violations.amin(0).clamp(min=_FORGIVEN)
        gauges = torch.stack([part.gauge(delta, x) for part in self.members()])
        return torch.where(eligible, gauges, torch.inf).amin(0)

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        """The smallest violation among the members, (B,)."""
        return reduce(torch.minimum, (part.violation(delta, x) for part in self.members()))

    def support(self, c: Tensor, x: Tensor) -> Tensor:
        return reduce(torch.maximum, (part.support(c, x) for part in self.members()))

    def support_bound(self, c: Tensor, x: Tensor) -> Tensor:
        return reduce(torch.maximum, (part.support_bound(c, x) for part in self.members()))

    def span(self, c: Tensor, x: Tensor) -> Sides:
        return self._widest(lambda part: part.span(c, x))

    def hull(self, x: Tensor) -> Sides:
        return self._widest(lambda part: part.hull(x))

    def bound_affine(self, op: AffineOperator, x: Tensor) -> Sides:
        return self._widest(lambda part: part.bound_affine(op, x))

    def _widest(self, oracle: Callable[[Oracles], Sides]) -> Sides:
        lower, upper = zip(*(oracle(part) for part in self.members()), strict=True)
        return reduce(torch.minimum, lower), reduce(torch.maximum, upper)

    def sketch(self, x: Tensor) -> tuple[Tensor, Tensor, float] | None:
        return self.members()[0].sketch(x) if len(self.members()) == 1 else None

    def steepest(self, gradient: Tensor, x: Tensor, delta: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        """The step of the member that gains most to first order, (B, *S)."""
        if len(self.members()) == 1:
            return self.members()[0].steepest(gradient, x, delta, rng=rng)
        # a step may leave its member, so the gain is measured at the member's linear maximiser
        gains = [pairing(gradient, part.linear_max(gradient, x + delta)) for part in self.members()]
        return chosen(self._steps(gradient, x, delta, rng=rng), largest(gains))

    def _steps(self, gradient: Tensor, x: Tensor, delta: Tensor, *, rng: ExampleRNG | None = None) -> list[Tensor]:
        """Every member's step, each from the same random numbers, as a member may draw none, K of (B, *S)."""
        everything = torch.arange(len(x), device=x.device)
        streams = [rng.take(everything) if rng else None for _ in self.members()]
        if rng:
            rng.advance()
        return [part.steepest(gradient, x, delta, rng=own) for part, own in zip(self.members(), streams, strict=True)]

    def sample(self, x: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        """A point of a member drawn for each example, (B, *S)."""
        rng = rng or ExampleRNG(0, torch.arange(len(x), device=x.device))
        which = rng.integers(0, len(self.members())).to(x.device)
        return chosen([part.sample(x, rng=rng) for part in self.members()], which)

    def uniform(self, x: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        """A uniform point of a member drawn for each example, (B, *S)."""
        rng = rng or ExampleRNG(0, torch.arange(len(x), device=x.device))
        which = rng.integers(0, len(self.members())).to(x.device)
        return chosen([part.uniform(x, rng=rng) for part in self.members()], which)

    def check_inputs(self, x: Tensor) -> None:
        for part in self.members():
            part.check_inputs(x)
