"""Intersections of convex sets."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import attrs
import torch
from torch import Tensor

from inradius import AffineOperator, ExampleRNG, ThreatModel
from inradius.sets.arithmetic.answers import finite_or_above, sloped
from inradius.sets.arithmetic.bits import widened
from inradius.sets.arithmetic.precision import toward_zero, working
from inradius.sets.arithmetic.sides import common
from inradius.sets.box import Box
from inradius_sets.feasible import best_point
from inradius_sets.shares import shared_support
from inradius_sets.splitting import solve

if TYPE_CHECKING:
    import cvxpy

# Two members agree to the last digits after 20 to 200 steps, three after some more.
_STEPS = 400
# After as many the split is within a percent of the best one, for two members mostly far nearer.
_SUPPORT_STEPS = 100


def _flat(members: object) -> object:
    """The members with those of intersections in their place; anything else as it is, for the validator."""
    if not isinstance(members, tuple | list):
        return members
    inner = ((member.sets if isinstance(member, Intersection) else (member,)) for member in members)
    return tuple(part for parts in inner for part in parts)


def _members(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, tuple) or not value:
        raise ValueError(
            f"{field.name}={value!r} are no sets; allowed are one or more, as in intersection(linf(0.1), l2(1))"
        )
    for member in value:
        if not isinstance(member, ThreatModel):
            raise ValueError(f"{member} is no set; allowed are components of kind ThreatModel")
        if not member.convex:
            raise ValueError(f"{member} is not convex; an intersection allows convex sets alone")


@attrs.frozen(kw_only=True)
class Intersection(ThreatModel):
    """{δ : δ ∈ A(x) and δ ∈ B(x) and ...} of convex sets, each with a radius of its own.

    ``project`` and ``linear_max`` iterate over the members' projections until they agree, and answer with a point that
    satisfies every gauge, and hard constraints up to a billionth (float32: a millionth) of its size; a point many thousand
    times farther away than the set is wide may be answered by one that is not the nearest. ``support`` is the
    best split found of the direction among the members, Σ supportᵢ(cᵢ) with Σ cᵢ = c: an upper bound whatever the split, at
    most that of each member. The radius of a scaled intersection is that of every member, so the gauge is the largest of
    theirs. An intersection among the members stands for its own.
    """

    positional = ("*sets",)

    sets: tuple[ThreatModel, ...] = attrs.field(validator=_members, converter=_flat)

    @property
    def is_box(self) -> bool:
        return all(member.is_box for member in self.sets)

    @property
    def convex(self) -> bool:
        return True

    @property
    def symmetric(self) -> bool:
        return all(member.symmetric for member in self.sets)

    @property
    def tight(self) -> bool:
        return len(self.sets) == 1 and self.sets[0].tight

    @property
    def convention(self) -> str:
        """What the radius of each member measures, where its name does not say it."""
        return "; ".join(f"{member}: {member.convention}" for member in self.sets if member.convention)

    @property
    def bounds(self) -> Box:
        """The box that inputs of every member lie in; None where no member has one."""
        return common(member.bounds for member in self.sets)

    def project(self, delta: Tensor, x: Tensor) -> Tensor:
        return self.project_with_gap(delta, x)[0]

    def project_with_gap(self, delta: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """A point p of Δ(x) and a bound g on ½‖v − p‖² minus its least value, so ‖p − Pv‖² ≤ 2g, (B, *S) and (B,)."""
        return self._answer(delta, x, 1.0, self._restriction)

    def linear_max(self, c: Tensor, x: Tensor) -> Tensor:
        return self._answer(c, x, 0.0, self._limitation)[0]

    def steepest(self, gradient: Tensor, x: Tensor, delta: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        """The step of the member that lets δ go least far along the gradient, (B, *S)."""
        with torch.no_grad():
            reach = torch.stack([member.support_bound(gradient.unsqueeze(1), x)[:, 0] for member in self.sets])
            steps = torch.stack([member.steepest(gradient, x, delta, rng=rng) for member in self.sets])
            return steps[reach.argmin(0), torch.arange(len(x), device=x.device)]

    def sample(self, x: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        return self.project(self.sets[0].sample(x, rng=rng), x)

    def support(self, c: Tensor, x: Tensor) -> Tensor:
        if len(self.sets) == 1:
            return self.sets[0].support(c, x)
        dtype = working(torch.promote_types(c.dtype, x.dtype))
        with torch.no_grad():
            around, tol = widened(x, dtype), _tolerance(dtype)
            hull = self.hull(around)
            found, slope = shared_support(self.sets, widened(c, dtype), around, hull, _SUPPORT_STEPS, tol)
            bound = finite_or_above(found, c.dtype)
        # the point that the search ended with is nearer to the maximiser than that of any member
        return sloped(bound, c.flatten(2), slope.flatten(2))

    def support_bound(self, c: Tensor, x: Tensor) -> Tensor:
        return torch.stack([member.support_bound(c, x) for member in self.sets]).amin(0)

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        return torch.stack([member.gauge(delta, x) for member in self.sets]).amax(0)

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        return torch.stack([member.violation(delta, x) for member in self.sets]).amax(0)

    def span(self, c: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return _tightest([member.span(c, x) for member in self.sets])

    def hull(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return _tightest([member.hull(x) for member in self.sets])

    def bound_affine(self, op: AffineOperator, x: Tensor) -> tuple[Tensor, Tensor]:
        return _tightest([member.bound_affine(op, x) for member in self.sets])

    def sketch(self, x: Tensor) -> tuple[Tensor, Tensor, float] | None:
        return next((sketch for member in self.sets if (sketch := member.sketch(x)) is not None), None)

    def constraints(self, delta: "cvxpy.Variable", x: Tensor) -> "list[cvxpy.Constraint]":
        return [each for member in self.sets for each in member.constraints(delta, x)]

    def scaled(self, factor: float) -> Self:
        return attrs.evolve(self, sets=tuple(member.scaled(factor) for member in self.sets))

    def check_inputs(self, x: Tensor) -> None:
        for member in self.sets:
            member.check_inputs(x)

    def _restriction(self, v: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The projection on the member that is farthest from v, and which it is, (B, *S) and (B,)."""
        points = torch.stack([member.project(v, x) for member in self.sets])
        first = (points - v).flatten(2).norm(dim=2).argmax(0)
        return points[first, torch.arange(len(x), device=x.device)], first

    def _limitation(self, c: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The maximiser of the member that lets δ go least far along c, and which it is, (B, *S) and (B,)."""
        first = torch.stack([member.support(c.unsqueeze(1), x)[:, 0] for member in self.sets]).argmin(0)
        points = torch.stack([member.linear_max(c, x) for member in self.sets])
        return points[first, torch.arange(len(x), device=x.device)], first

    def _answer(
        self, target: Tensor, x: Tensor, alpha: float, begin: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            dtype = torch.promote_types(target.dtype, x.dtype)
            t, around = target.to(working(dtype)), x.to(working(dtype))
            start, first = begin(t, around)
            tol = _tolerance(t.dtype)
            # where the start is a member already, it is the answer
            done = (self.gauge(start, around) <= 1) & (self.violation(start, around) == 0)
            point, gap = start.clone(), torch.zeros_like(start.flatten(1)[:, 0])
            left = (~done).nonzero().squeeze(1)
            if len(left):
                t, around = t[left], around[left]
                split = solve(self.sets, t, around, start[left], first[left], alpha, _STEPS, tol)
                point[left], gap[left] = best_point(self, split, t, around, alpha, tol)
            return toward_zero(point, dtype), gap.to(dtype)


def _tolerance(dtype: torch.dtype) -> float:
    """How far members' points may be apart at the end, as a share of their size."""
    return 1e-10 if dtype == torch.float64 else 1e-6


def _tightest(bounds: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The largest of the lower bounds and the smallest of the upper ones."""
    lower, upper = (torch.stack(side) for side in zip(*bounds, strict=True))
    return lower.amax(0), upper.amin(0)
