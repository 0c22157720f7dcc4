"""The oracles of a ball ∩ box: inputs become rows with the room that each coordinate has, each norm brings its algorithms."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from inradius import AffineOperator, ExampleRNG, Oracles
from inradius.sets.arithmetic.answers import point, room_span, rows_of, value_in_room
from inradius.sets.arithmetic.outward import raised_sum
from inradius.sets.arithmetic.precision import toward_zero, upward
from inradius.sets.arithmetic.rooms import corners, lost_in, middle_and_half, outer_room, outward
from inradius.sets.arithmetic.sides import row_box
from inradius.sets.box import excess, grain, room
from inradius.sets.tight_convex import TightConvexOracles
from inradius_lp.algorithms import Answers, NormAlgorithms
from inradius_lp.mask import masked, outside, within_mask
from inradius_lp.steepest_l1 import movers, spread_evenly

# How many gathered numbers bound_affine holds at once.
_BLOCK = 1 << 22

# How far each coordinate may move down (≤ 0) and up (≥ 0) within box and radius, (B, K or 1, n), and the radius.
Cell = tuple[Tensor, Tensor, Tensor]
# The same, each rounded outward, and what underflow may take from a product with it, (B or 1, 1, 1).
OuterCell = tuple[Tensor, Tensor, Tensor, Tensor]
Values = Callable[..., Answers]


class BoxedBall(TightConvexOracles, ABC):
    """{δ : ‖δ‖ ≤ r, x + δ in the box}, with one radius r for all examples or one for each.

    Points carry no gradient; support functions carry that in ``c``. Points are in the cell as it rounds, bounds are of one that
    holds it: radius and room are rounded outward.
    """

    @property
    @abstractmethod
    def ball(self) -> NormAlgorithms:
        """The norm with its algorithms, and the box."""

    @abstractmethod
    def radii(self, rows: Tensor, largest: float) -> Tensor:
        """The radius of each example, or of all, at most ``largest``, (B, 1, 1) or (1, 1, 1) beside rows (B, 1, n)."""

    @abstractmethod
    def outer_radii(self, rows: Tensor, largest: float) -> Tensor:
        """``radii`` rounded up; infinite beyond the type's range."""

    @property
    def is_box(self) -> bool:
        return self.ball.is_box

    @abstractmethod
    def free(self, x: Tensor) -> Tensor | None:
        """True where coordinates may move, (1, 1, n) or (B, 1, n); None where they may move everywhere."""

    def room(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low, high = room(x, self.ball.bounds)
        free = self.free(x)
        mask = None if free is None else free.view(-1, *x.shape[1:])
        return masked(low, mask), masked(high, mask)

    def cell(self, x: Tensor, dtype: torch.dtype) -> Cell:
        """The room of each coordinate within box, mask and radius, (B, 1, n)."""
        rows = rows_of(x, torch.promote_types(x.dtype, dtype))
        radius = self.radii(rows, self.ball.reach(rows))
        low, high = room(rows, row_box(self.ball.bounds, x))
        return *within_mask(torch.maximum(low, -radius), torch.minimum(high, radius), self.free(x)), radius

    def outer_cell(self, x: Tensor, dtype: torch.dtype) -> OuterCell:
        """``cell`` rounded outward, and the most that underflow may take from a product with it; a radius may be infinite."""
        low, high, radius = self._outer_room(x, dtype)
        return low, high, radius, lost_in(low, high)

    def _outer_room(self, x: Tensor, dtype: torch.dtype) -> Cell:
        rows = rows_of(x, torch.promote_types(x.dtype, dtype))
        radius = self.outer_radii(rows, torch.inf if self.ball.bounds is None else self.ball.reach(rows))
        low, high = outer_room(rows, row_box(self.ball.bounds, x))
        return *within_mask(torch.maximum(low, -radius), torch.minimum(high, radius), self.free(x)), radius

    def project(self, delta: Tensor, x: Tensor) -> Tensor:
        return self._point(self.ball.nearest, delta, x)

    def linear_max(self, c: Tensor, x: Tensor) -> Tensor:
        return self._point(self.ball.farthest, c, x)

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        rows = rows_of(delta, delta.dtype)
        length = self.ball.length(rows)[:, 0]
        radius = self.radii(rows, torch.finfo(rows.dtype).max)[:, 0, 0]
        at_zero = torch.where(length > 0, torch.inf, length)
        return torch.where(radius > 0, length / radius, at_zero)

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        over, free = excess(delta, x, self.ball.bounds), self.free(x)
        return over if free is None else torch.maximum(over, outside(delta, free).to(over))

    def support(self, c: Tensor, x: Tensor) -> Tensor:
        return self._value(self.ball.value, c, self.outer_cell(x, c.dtype))

    def support_bound(self, c: Tensor, x: Tensor) -> Tensor:
        return self._value(self.ball.value_bound, c, self.outer_cell(x, c.dtype))

    def span(self, c: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._span(self.ball.value_bound, c, self.outer_cell(x, c.dtype))

    def steepest(self, gradient: Tensor, x: Tensor, delta: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        with torch.no_grad():
            dtype = torch.promote_types(gradient.dtype, x.dtype)
            rows, rounding = (
                masked(rows_of(gradient, dtype), self.free(x)),
                grain(row_box(self.ball.bounds, x), x.dtype),
            )
            if self.ball.is_box:
                # the box is left to the projection: a share of a step that it cuts would creep towards the bound
                step = rows.sign().mul_(self.radii(rows, self.ball.reach(rows)))
            else:
                step = self.ball.ascent(rows, *self.cell(x + delta, dtype), rng, rounding)
            return toward_zero(step, dtype).view(x.shape)

    @property
    def sparse(self) -> bool:
        """True where steps of steepest ascent change few coordinates, and ``sparse_steepest`` says how many."""
        return self.ball.order == 1

    def sparse_steepest(self, gradient: Tensor, x: Tensor, delta: Tensor, count: Tensor) -> Tensor:
        """The step spread evenly over the ``count`` (B,) best coordinates that can move, as long as the radius, (B, *S)."""
        with torch.no_grad():
            dtype = torch.promote_types(gradient.dtype, x.dtype)
            low, high, radius = self.cell(x + delta, dtype)
            rows = rows_of(gradient, dtype)
            free = movers(rows, low, high, radius, grain(row_box(self.ball.bounds, x), x.dtype))
            return toward_zero(spread_evenly(rows, free, radius, count), dtype).view(x.shape)

    def sample(self, x: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        rng = rng or ExampleRNG(0, torch.arange(len(x), device=x.device))
        _, _, radius = self.cell(x, x.dtype)
        draw = self.ball.draw(rng, (1, x.shape[1:].numel()), radius.dtype, self.free(x)).to(x.device)
        return toward_zero(self.project((draw * radius).view(x.shape), x), x.dtype)

    def uniform(self, x: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        if not self.ball.is_box:
            return self.sample(x, rng=rng)
        rng = rng or ExampleRNG(0, torch.arange(len(x), device=x.device))
        _, _, radius = self.cell(x, x.dtype)
        draw = 2 * rng.uniform((1, x.shape[1:].numel()), dtype=radius.dtype).to(x.device) - 1
        return toward_zero(self.project((draw * radius).view(x.shape), x), x.dtype)

    def hull(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low, high, _ = self._outer_room(x, x.dtype)
        return outward(low, high, x)

    def sketch(self, x: Tensor) -> tuple[Tensor, Tensor, float]:
        low, high, radius = self._outer_room(x, x.dtype)
        if self.ball.is_box:
            middle, half = middle_and_half(low, high, x.dtype)
            return middle.view(x.shape), half.view(x.shape), 1.0
        dual = self.ball.order / (self.ball.order - 1) if self.ball.order > 1 else torch.inf
        return torch.zeros_like(x), upward(masked(radius.expand_as(low), self.free(x)), x.dtype).reshape(x.shape), dual

    def bound_affine(self, op: AffineOperator, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.ball.is_box and op.exact_interval:
            low, high, _, _ = self.outer_cell(x, x.dtype)
            return op.interval(*corners(x, low, high, self.ball.bounds))
        local = None if self.ball.is_box else op.local_rows()
        if local is None:
            return Oracles.bound_affine(self, op, x)
        down, up = self._local_span(*local, self.outer_cell(x, x.dtype))
        center = op(x)
        return -raised_sum(-center, -down.view_as(center)), raised_sum(center, up.view_as(center))

    def _local_span(self, index: Tensor, weights: Tensor, cell: OuterCell) -> tuple[Tensor, Tensor]:
        """Bounds of ⟨weights, δ at index⟩ for rows of few entries (N, m), two of (B, N); exact up to rounding."""
        low, high, radius, _ = cell
        rows, places = torch.where(index >= 0, weights, 0)[None], index.clamp(min=0)
        step = max(1, _BLOCK // max(1, index.numel()))
        spans = []
        for first in range(0, len(low), step):
            part = slice(first, first + step)
            near, far = low[part, 0][:, places], high[part, 0][:, places]
            size = radius[part] if len(radius) > 1 else radius
            room = near, far, size, lost_in(near, far)
            spans.append(self._span(self.ball.value, rows.expand(len(near), -1, -1), room))
        down, up = (torch.cat(side) for side in zip(*spans, strict=True))
        return down, up

    def _point(self, kernel: Callable[..., Tensor], v: Tensor, x: Tensor) -> Tensor:
        return point(kernel, v, x, *self.cell(x, v.dtype))

    def _span(self, kernel: Values, c: Tensor, cell: OuterCell) -> tuple[Tensor, Tensor]:
        low, high, radius, lost = cell
        if self.ball.is_box and bool((radius < torch.inf).all()):
            return room_span(c, low, high, lost)
        return -self._value(kernel, -c, cell), self._value(kernel, c, cell)

    def _value(self, kernel: Values, c: Tensor, cell: OuterCell) -> Tensor:
        beyond = (cell[2] == torch.inf).squeeze(-1)
        if not bool(beyond.any()):
            return value_in_room(kernel, c, *cell)
        largest = torch.finfo(cell[2].dtype).max
        bound = value_in_room(kernel, c, *(side.clamp(-largest, largest) for side in cell))
        return torch.where(beyond & (bound > 0), torch.inf, bound)
