"""The oracles of a Wasserstein ball. Each algorithm has its own module; this one calls them."""

from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor

from inradius import AffineOperator, ExampleRNG, Oracles
from inradius.sets.arithmetic.answers import finite_or_above, sloped
from inradius.sets.arithmetic.bits import stored, widened
from inradius.sets.arithmetic.outward import raised_sum, smallest
from inradius.sets.arithmetic.precision import toward_zero, upward, working
from inradius_wasserstein.entropic import sinkhorn
from inradius_wasserstein.plans.transport import hard_violation, plan_cost
from inradius_wasserstein.projection import interior_point
from inradius_wasserstein.projection.projected import ProjectedPoints
from inradius_wasserstein.set.hull_box import pixel_bounds
from inradius_wasserstein.set.moves import PixelMoves
from inradius_wasserstein.support.first_layer import first_layer
from inradius_wasserstein.support.kernels import Kernel, in_blocks, point_kernel, upper_room, value_kernel

# A projection that moves a point by less than this share of its length tests whether the point is inside.
_NEAR = 1e-3
_INSIDE = 1e-9


class Transport(Protocol):
    """The moves that mass may make, and their prices."""

    @property
    def cap(self) -> float | None:
        """The largest value of a pixel; None without a limit."""
        ...

    @property
    def projection(self) -> str:
        """The name of the projection algorithm."""
        ...

    def moves(self, x: Tensor) -> PixelMoves:
        """The moves within one channel of images like x (B, channels, H, W)."""
        ...


class TransportBall(Oracles, ABC):
    """{δ : moves of total cost at most the budget carry x to x + δ}, with one budget for each example.

    Points carry no gradient. Support functions carry a gradient in ``c``.
    """

    @property
    @abstractmethod
    def ball(self) -> Transport:
        """The moves, their costs and the cap of the pixels."""

    @abstractmethod
    def budgets(self, x: Tensor) -> Tensor:
        """The largest cost of each example's plan, (B,)."""

    @abstractmethod
    def outer_budgets(self, x: Tensor) -> Tensor:
        """The budgets, rounded up by as much as costs may have been rounded, (B,)."""

    @property
    def convex(self) -> bool:
        return True

    def project(self, delta: Tensor, x: Tensor) -> Tensor:
        point = self.nearest(delta, x).delta
        return self._itself_if_inside(delta, x, point)

    def _itself_if_inside(self, delta: Tensor, x: Tensor, point: Tensor) -> Tensor:
        """The point, or δ itself where δ is inside the ball, (B, *S). Only a δ close to the point is tested."""
        away, size = ((part.double().flatten(1)).norm(dim=1) for part in (point - delta, delta))
        near = ((away > 0) & (away <= _NEAR * size)).nonzero().squeeze(1)
        if not len(near):
            return point
        own = self.select(near)
        inside = own.contains(delta[near], x[near], tol=_INSIDE)
        kept = point.clone()
        kept[near[inside]] = delta[near[inside]].to(point.dtype)
        return kept

    def nearest(self, delta: Tensor, x: Tensor) -> ProjectedPoints:
        """The projection with its duality gap, by the algorithm that the set names."""
        with torch.no_grad():
            solve = sinkhorn.nearest if self.ball.projection == "sinkhorn" else interior_point.nearest
            images = x.to(working(x.dtype))
            return solve(delta, images, self.ball.moves(images), self.budgets(images), self.ball.cap)

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        # in float64 on the CPU, where the network simplex runs
        moves, budget = self._precisely(x)
        cost, _ = plan_cost(delta, x, moves)
        share = torch.where(cost > 0, cost / budget.to(cost), torch.zeros_like(cost))
        return share.to(working(delta.dtype))

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        return hard_violation(delta, x, self._precisely(x)[0], self.ball.cap).to(working(delta.dtype))

    def _precisely(self, x: Tensor) -> tuple[PixelMoves, Tensor]:
        x = x.detach().cpu().double()
        return self.ball.moves(x), self.budgets(x)

    def linear_max(self, c: Tensor, x: Tensor) -> Tensor:
        """A maximiser of ⟨c, δ⟩ over Δ(x), (B, *S). With a cap it is a point that comes near the maximum."""
        with torch.no_grad():
            dtype = torch.promote_types(c.dtype, x.dtype)
            x = x.to(working(dtype))
            (point,) = self._ask(point_kernel(self.ball.cap), c.flatten(1)[:, None], x, self.budgets(x))
            return toward_zero(point, dtype).view(x.shape)

    def support(self, c: Tensor, x: Tensor) -> Tensor:
        """An upper bound on max ⟨c, δ⟩, (B, K, *S) -> (B, K). It is exact without a cap."""
        return self._value(c.flatten(2), x, self.ball.cap)

    def support_bound(self, c: Tensor, x: Tensor) -> Tensor:
        return self._value(c.flatten(2), x, None)

    def _value(self, rows: Tensor, x: Tensor, cap: float | None) -> Tensor:
        wanted = torch.is_grad_enabled() and rows.requires_grad
        with torch.no_grad():
            x, budget = self._outer(x, rows.dtype)
            answers = self._ask(value_kernel(cap, slope=wanted), rows, x, budget)
            value = finite_or_above(answers[0], rows.dtype)
        return sloped(value, rows, answers[1]) if wanted else value

    def steepest(self, gradient: Tensor, x: Tensor, delta: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        """The maximiser around x + δ, (B, *S).

        It spends the whole radius on moves that exist. A step along the gradient, or along its sign as in wong2019,
        asks for mass where none can come from, and loses most of its length to the projection. On a convolutional MNIST
        network (p = 1, ε = 0.1, 60 images), 20 steps of PGD break 18 images with this step, 14 along the gradient and 3
        along its sign.
        """
        return self.linear_max(gradient, (x + delta).clamp(min=0, max=self.ball.cap))

    def sample(self, x: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        """The maximiser of a random direction, shrunk by a random factor, (B, *S)."""
        rng = rng or ExampleRNG(0, torch.arange(len(x), device=x.device))
        vertex = self.linear_max(rng.normal(tuple(x.shape[1:]), dtype=x.dtype).to(x.device), x)
        return toward_zero(vertex * rng.uniform(dtype=x.dtype).to(x.device).view(-1, 1, 1, 1), x.dtype)

    def hull(self, x: Tensor) -> tuple[Tensor, Tensor]:
        images, budget = self._outer(x, x.dtype)
        found = pixel_bounds(images, self.ball.moves(images), budget)
        if found is None:
            return Oracles.hull(self, x)
        low, high = found
        if self.ball.cap is not None:
            high = torch.minimum(high, upper_room(images, self.ball.cap))
        return -upward(-low, x.dtype), upward(high, x.dtype)

    def bound_affine(self, op: AffineOperator, x: Tensor) -> tuple[Tensor, Tensor]:
        """Bounds at a grid of prices that the images share, two of (B, *out). A cap of the pixels is ignored."""
        center = op(x)
        images, budget = self._outer(x, center.dtype)
        up = first_layer(op, images, self.ball.moves(images), budget)
        if up is None:
            return Oracles.bound_affine(self, op, x)
        low, high = (finite_or_above(side, center.dtype).view_as(center) for side in up)
        return -raised_sum(-center, low), raised_sum(center, high)

    def _outer(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Images in the precision of computation, and their budgets.

        Mass so small that a kernel would take it for 0 is raised.
        """
        images = widened(x, working(torch.promote_types(x.dtype, dtype)))
        return torch.where(stored(images), images.clamp(min=smallest(images.dtype)), images), self.outer_budgets(images)

    def _ask(self, kernel: Kernel, rows: Tensor, x: Tensor, budget: Tensor) -> tuple[Tensor, ...]:
        """The kernel's answers for directions (B, K, n), block by block."""
        return in_blocks(kernel, widened(rows, x.dtype), x.flatten(1), self.ball.moves(x), budget)
