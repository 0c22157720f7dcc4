"""A threat model with a radius of its own for each example."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from inradius.errors import InputError
from inradius.rng import ExampleRNG
from inradius.sets.affine_operator import AffineOperator
from inradius.sets.box import Box
from inradius.sets.derived import DerivedOracles
from inradius.sets.norm import Norm
from inradius.sets.oracles import Oracles


class PerExample(DerivedOracles):
    """A threat model with one radius factor per example; the oracles are those of ``scaled``, example by example."""

    def __init__(self, threat: Oracles, factors: Tensor) -> None:
        if factors.ndim != 1 or not bool(torch.isfinite(factors).all()) or bool((factors < 0).any()):
            raise InputError(
                f"factors of shape {tuple(factors.shape)} are not radii; allowed is one finite number ≥ 0 per example"
            )
        self.threat = threat
        self.factors = factors

    def __str__(self) -> str:
        return f"{self.threat} with a radius per example"

    @property
    def symmetric(self) -> bool:
        return False  # x and x + δ may have different radii

    @property
    def convention(self) -> str:
        return self.threat.convention

    @property
    def bounds(self) -> Box:
        return self.threat.bounds

    @property
    def norm(self) -> Norm | None:
        return self.threat.norm

    @property
    def measure(self) -> Norm | None:
        return self.threat.measure

    def room(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.threat.room(x)

    @property
    def radius(self) -> float | Tensor | None:
        radius = self.threat.radius
        return None if radius is None else radius * self.factors.double()

    @property
    def slow_projection(self) -> bool:
        return self.threat.slow_projection

    def scaled(self, factor: float) -> Oracles:
        return self.per_example(torch.full_like(self.factors, factor))

    def per_example(self, factors: Tensor) -> Oracles:
        return self.threat.per_example(self.multiplied(factors))

    def multiplied(self, factors: Tensor) -> Tensor:
        """The factors of this set times others, (B,), in the wider of the two types."""
        wide = torch.promote_types(self.factors.dtype, factors.dtype)
        return self.factors.to(wide) * factors.to(self.factors.device, wide)

    def _groups(self) -> Iterator[tuple[Oracles, Tensor]]:
        for factor in sorted(set(self.factors.tolist())):
            yield self.threat.scaled(factor), (self.factors == factor).nonzero().squeeze(1)

    def _scatter(self, oracle: str, *tensors: Tensor) -> Any:
        """The oracle's answer for every example, asked group by group of equal factors."""
        if len(self.factors) != len(tensors[0]):
            raise InputError(
                f"{len(self.factors)} radii were given for {len(tensors[0])} examples; allowed is one each"
            )
        groups = list(self._groups())
        order = torch.cat([rows for _, rows in groups]).argsort()
        answers = [getattr(threat, oracle)(*(t[rows] for t in tensors)) for threat, rows in groups]
        if isinstance(answers[0], tuple):
            return tuple(torch.cat(side)[order] for side in zip(*answers, strict=True))
        return torch.cat(answers)[order]

    def project(self, delta: Tensor, x: Tensor) -> Tensor:
        return self._scatter("project", delta, x)  # type: ignore[no-any-return]

    def linear_max(self, c: Tensor, x: Tensor) -> Tensor:
        return self._scatter("linear_max", c, x)  # type: ignore[no-any-return]

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        return self._scatter("gauge", delta, x)  # type: ignore[no-any-return]

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        return self._scatter("violation", delta, x)  # type: ignore[no-any-return]

    def support(self, c: Tensor, x: Tensor) -> Tensor:
        return self._scatter("support", c, x)  # type: ignore[no-any-return]

    def support_bound(self, c: Tensor, x: Tensor) -> Tensor:
        return self._scatter("support_bound", c, x)  # type: ignore[no-any-return]

    def span(self, c: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._scatter("span", c, x)  # type: ignore[no-any-return]

    def hull(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._scatter("hull", x)  # type: ignore[no-any-return]

    def steepest(self, gradient: Tensor, x: Tensor, delta: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        answer = torch.empty_like(delta)
        for threat, rows in self._groups():
            answer[rows] = threat.steepest(gradient[rows], x[rows], delta[rows], rng=rng.take(rows) if rng else None)
        if rng:
            rng.advance()
        return answer

    def bound_affine(self, op: AffineOperator, x: Tensor) -> tuple[Tensor, Tensor]:
        groups = list(self._groups())
        order = torch.cat([rows for _, rows in groups]).argsort()
        sides = zip(*(threat.bound_affine(op, x[rows]) for threat, rows in groups), strict=True)
        lower, upper = (torch.cat(side)[order] for side in sides)
        return lower, upper

    def select(self, index: Tensor) -> Oracles:
        """The part of the batch in ``index``, with its radii."""
        return self.threat.per_example(self.factors[index])

    def at(self, index: Tensor, x: Tensor) -> Oracles:
        own = self.threat.at(index, x)
        return self if own is self.threat else own.per_example(self.factors)

    def members(self) -> "tuple[Oracles, ...]":
        parts = self.threat.members()
        # a set that is its own only part is that here as well
        own = len(parts) == 1 and parts[0] is self.threat
        return (self,) if own else tuple(part.per_example(self.factors) for part in parts)
