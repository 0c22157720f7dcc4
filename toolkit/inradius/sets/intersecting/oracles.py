"""The oracles of an intersection of convex sets, from those of its members."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from inradius.rng import ExampleRNG
from inradius.sets.affine_operator import AffineOperator
from inradius.sets.arithmetic.answers import finite_or_above, sloped
from inradius.sets.arithmetic.bits import widened
from inradius.sets.arithmetic.precision import toward_zero, working
from inradius.sets.arithmetic.sides import common
from inradius.sets.box import Box
from inradius.sets.intersecting.exact import exactly
from inradius.sets.intersecting.feasible import best_point, tolerance, worth
from inradius.sets.intersecting.further import Target, searched_further
from inradius.sets.intersecting.shares import shared_support
from inradius.sets.intersecting.splitting import solve
from inradius.sets.oracles import Oracles

# Two members agree to the last digits after 20 to 200 steps, three after some more.
_STEPS = 400
# After as many the split is within a percent of the best one, for two members mostly far nearer.
_SUPPORT_STEPS = 100


class IntersectionOracles(Oracles, ABC):
    """{δ : δ in every member} for convex members, of which each is asked its projection, support and so on.

    ``project`` and ``linear_max`` iterate over the members' projections until they agree up to rounding, and answer with a point
    that ``contains`` accepts with tolerance 0 wherever one is found near the last iterate; else it satisfies every gauge, and
    hard constraints up to a billionth (float32: a millionth) of its size. ``support`` is the best split found of the direction
    among the members, an upper bound whatever the split, at most that of each member.
    """

    # the steps of a search, and how many more there may be with other weights
    _steps, _stages = _STEPS, 0
    # the share of the common tolerance that members' points may be apart
    _care = 1.0

    @abstractmethod
    def _joined(self) -> Sequence[Oracles]:
        """The sets that are intersected, one or more."""

    @property
    def is_box(self) -> bool:
        return all(member.is_box for member in self._joined())

    @property
    def convex(self) -> bool:
        return True

    @property
    def symmetric(self) -> bool:
        return all(member.symmetric for member in self._joined())

    @property
    def tight(self) -> bool:
        return len(self._joined()) == 1 and self._joined()[0].tight

    @property
    def bounds(self) -> Box:
        """The box that inputs of every member lie in; None where no member has one."""
        return common(member.bounds for member in self._joined())

    def room(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return _tightest([member.room(x) for member in self._joined()])

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
            reach = torch.stack([member.support_bound(gradient.unsqueeze(1), x)[:, 0] for member in self._joined()])
            steps = torch.stack([member.steepest(gradient, x, delta, rng=rng) for member in self._joined()])
            return steps[reach.argmin(0), torch.arange(len(x), device=x.device)]

    def sample(self, x: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        return self.project(self._joined()[0].sample(x, rng=rng), x)

    def support(self, c: Tensor, x: Tensor) -> Tensor:
        if len(self._joined()) == 1:
            return self._joined()[0].support(c, x)
        dtype = working(torch.promote_types(c.dtype, x.dtype))
        with torch.no_grad():
            around, tol = widened(x, dtype), tolerance(dtype)
            hull = self.hull(around)
            found, slope = shared_support(self._joined(), widened(c, dtype), around, hull, _SUPPORT_STEPS, tol)
            bound = finite_or_above(found, c.dtype)
        # the point that the search ended with is nearer to the maximiser than that of any member
        return sloped(bound, c.flatten(2), slope.flatten(2))

    def support_bound(self, c: Tensor, x: Tensor) -> Tensor:
        return torch.stack([member.support_bound(c, x) for member in self._joined()]).amin(0)

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        return torch.stack([member.gauge(delta, x) for member in self._joined()]).amax(0)

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        return torch.stack([member.violation(delta, x) for member in self._joined()]).amax(0)

    def span(self, c: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return _tightest([member.span(c, x) for member in self._joined()])

    def hull(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return _tightest([member.hull(x) for member in self._joined()])

    def bound_affine(self, op: AffineOperator, x: Tensor) -> tuple[Tensor, Tensor]:
        return _tightest([member.bound_affine(op, x) for member in self._joined()])

    def sketch(self, x: Tensor) -> tuple[Tensor, Tensor, float] | None:
        return next((sketch for member in self._joined() if (sketch := member.sketch(x)) is not None), None)

    def _restriction(self, v: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The projection on the member that is farthest from v, and which it is, (B, *S) and (B,)."""
        points = torch.stack([member.project(v, x) for member in self._joined()])
        first = (points - v).flatten(2).norm(dim=2).argmax(0)
        return points[first, torch.arange(len(x), device=x.device)], first

    def _limitation(self, c: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The maximiser of the member that lets δ go least far along c, and which it is, (B, *S) and (B,)."""
        first = torch.stack([member.support(c.unsqueeze(1), x)[:, 0] for member in self._joined()]).argmin(0)
        points = torch.stack([member.linear_max(c, x) for member in self._joined()])
        return points[first, torch.arange(len(x), device=x.device)], first

    def _precision(self, dtype: torch.dtype, x: Tensor) -> torch.dtype:
        """The type that points are searched in."""
        return working(dtype)

    def _answer(
        self, target: Tensor, x: Tensor, alpha: float, begin: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            dtype = torch.promote_types(target.dtype, x.dtype)
            precise = self._precision(dtype, x)
            t, around = target.to(precise), x.to(precise)
            start, first = begin(t, around)
            tol = max(tolerance(t.dtype) * self._care, 4 * torch.finfo(t.dtype).eps)
            # where the start is a member already, it is the answer
            done = (self.gauge(start, around) <= 1) & (self.violation(start, around) == 0)
            point, gap = start.clone(), torch.zeros_like(start.flatten(1)[:, 0])
            left = (~done).nonzero().squeeze(1)
            if len(left):
                t, around = t[left], around[left]
                split = solve(self._joined(), t, around, start[left], first[left], alpha, self._steps, tol)
                best = best_point(self, split, t, around, alpha)
                if self._stages:
                    wanted = Target(self, self._joined(), t, around, alpha, tol)
                    best = searched_further(wanted, split, best, self._stages)
                point[left], gap[left] = self._exact(*best, t, around, alpha)
            return toward_zero(point, dtype), gap.to(dtype)

    def _exact(self, point: Tensor, gap: Tensor, t: Tensor, x: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
        """The points as members up to rounding, and what those lack, (B, *S) and (B,)."""
        moved = exactly(self, self._joined(), point, x)
        return moved, (gap + worth(point, t, alpha) - worth(moved, t, alpha)).clamp(min=0)


def _tightest(bounds: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The largest of the lower bounds and the smallest of the upper ones."""
    lower, upper = (torch.stack(side) for side in zip(*bounds, strict=True))
    return lower.amax(0), upper.amin(0)
