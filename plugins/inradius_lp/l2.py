"""The ℓ2 ball ∩ box."""

import math
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import ExampleRNG
from inradius.sets.arithmetic.bits import power
from inradius.sets.arithmetic.outward import smallest
from inradius.sets.arithmetic.rooms import within
from inradius.sets.arithmetic.sides import Side
from inradius.sets.arithmetic.sums import amplifier, length_within_unit, settle, upper
from inradius.sets.box import movable
from inradius_lp.algorithms import Answers
from inradius_lp.ball import LpBall
from inradius_lp.length import between, length, sane
from inradius_lp.ray import dual_value, exit_point, first_time, growth, split
from inradius_lp.sample import scatter

# The dual value is flat at the exit time: after one step it is within 0.5 % of the exact one on images.
_CHEAP = 1

# Keeps the step finite where the ray never leaves the ball
_FAR = 1000.0


@attrs.frozen(kw_only=True)
class L2(LpBall):
    """{δ : ‖δ‖₂ ≤ eps, x + δ in the box}; the radius is in units of the inputs, over all coordinates together.

    Projection and linear maximisation are points of the ray clip(t c, low, high), found exactly by an active set.
    """

    order: ClassVar[float] = 2.0

    def length(self, z: Tensor) -> Tensor:
        return length(z).squeeze(-1)

    def nearest(self, v: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
        clipped = torch.clamp(v, low, high)
        inside = length(clipped) <= radius
        if bool(inside.all()):
            return clipped
        first = first_time(length(v), radius)
        if not _plain(first, radius):
            return torch.where(inside, clipped, self.farthest(v, low, high, radius))
        # the ray leaves the ball before t = 1
        start = torch.maximum(growth(v, clipped, radius, torch.empty_like(v)), first).clamp_(max=1)
        _, point = exit_point(v, low, high, radius, torch.where(inside, torch.ones_like(start), start), 1.0)
        return settle(point, self.length(point), radius)

    def farthest(self, c: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
        _, point = _leave(c, low, high, radius)
        return settle(point, self.length(point), radius)

    def value(self, c: Tensor, low: Tensor, high: Tensor, radius: Tensor, lost: Tensor, *, slope: bool) -> Answers:
        ray = _Ray(c, low, high, radius)
        t = ray.exit_time(None)
        return (*ray.value(t), ray.point(t)) if slope else ray.value(t)

    def value_bound(
        self, c: Tensor, low: Tensor, high: Tensor, radius: Tensor, lost: Tensor, *, slope: bool
    ) -> Answers:
        ray = _Ray(c, low, high, radius)
        t = ray.exit_time(_CHEAP)
        (value, ball), (_, box, *corner) = ray.value(t), within(c, low, high, lost, slope=slope)
        bound = torch.minimum(ball, box)
        if not slope:
            return value, bound
        return value, bound, torch.where((ball <= box).unsqueeze(-1), ray.slope(t), corner[0])

    def ascent(
        self, gradient: Tensor, low: Tensor, high: Tensor, radius: Tensor, rng: ExampleRNG | None, rounding: Side
    ) -> Tensor:
        # Parallel to the gradient, so that projected steps end in the maximum over ball and box together; as long as it
        # takes for its projection from the centre to be linear_max. The box is left to the projection.
        step, _ = _leave(gradient, low, high, radius)
        far = _FAR * radius
        return torch.minimum(torch.maximum(step, -far, out=step), far, out=step)

    def draw(self, rng: ExampleRNG, shape: tuple[int, ...], dtype: torch.dtype, free: Tensor | None) -> Tensor:
        return scatter(self.length, rng, shape, dtype, free)


def _plain(first: Tensor, radius: Tensor) -> bool:
    """True if no radius or first time is so large or small that its square overflows or loses digits."""
    info = torch.finfo(radius.dtype)
    smallest, largest = sane(radius.dtype)
    return between(radius, smallest / info.eps, largest) and between(first, info.tiny / info.eps, largest)


def _leave(c: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """t c and clip(t c, low, high) for the largest t at which clip(t c, low, high) is in the ball, two of (B, K, n)."""
    first = first_time(length(c), radius)
    if _plain(first, radius):
        t, point = exit_point(c, low, high, radius, first, torch.finfo(c.dtype).max)
        return c * t, point
    ray = _Ray(c, low, high, radius)
    t = ray.exit_time(None)
    return ray.unclipped(c, t), ray.point(t)


class _Ray:
    """The ray along c in units in which the largest movable |c| is between 1 and 2, exactly, and the radius is 1."""

    def __init__(self, c: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> None:
        c = movable(c, low, high)
        self._scale, self._low, self._high, self._radius = power(c), low, high, radius
        unit = torch.where(radius > 0, radius, torch.ones_like(radius))
        self._unit_low, self._unit_high = low / unit, high / unit
        self._c = c.div_(self._scale)

    def exit_time(self, passes: int | None) -> Tensor:
        """The time, in units of the ray, at which it leaves the ball, (B, K, 1). passes: steps of the search, None for all."""
        one, last = torch.ones_like(self._scale), torch.finfo(self._c.dtype).max
        start = length_within_unit(self._c).reciprocal_().clamp_(max=last)
        time, _ = exit_point(self._c, self._unit_low, self._unit_high, one, start, last, passes)
        return time

    def point(self, t: Tensor) -> Tensor:
        """clip(t c, low, high), (B, K, n)."""
        return torch.clamp(self._c * self._pace(t), self._low, self._high)

    def unclipped(self, c: Tensor, t: Tensor) -> Tensor:
        """t c, the point of the ray without the box, (B, K, n)."""
        # a ray that moves nothing has no unit
        unit = torch.where(self._c.abs().amax(-1, keepdim=True) > 0, self._scale, torch.ones_like(self._scale))
        return c / unit * self._pace(t)

    def _pace(self, t: Tensor) -> Tensor:
        return (t * self._radius).clamp(max=torch.finfo(t.dtype).max)

    def value(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The dual value at time t as computed, and an upper bound on it in exact arithmetic, two of (B, K)."""
        value, size, few = dual_value(self._c, t, self._unit_low, self._unit_high), self._c.shape[-1], smallest(t.dtype)
        unit = (self._radius * self._scale).squeeze(-1)
        # underflow: of the squares behind the length, of products and sums in units, of the unit, and of c
        lost = 2 * math.sqrt(size * few) / amplifier(t.dtype) + 16 * size * few
        further = (value + 4) * few + (self._radius.clamp(min=1) * (4 * math.sqrt(size) * few)).squeeze(-1)
        return value * unit, (upper(value, size, 12) + lost) * unit + further

    def slope(self, t: Tensor) -> Tensor:
        """The gradient of the dual value at fixed t: radius · p / ‖p‖ where c · t is not clipped, the box's bound where it is."""
        p, rest = split(self._c, t, self._unit_low, self._unit_high)
        length = length_within_unit(p)
        share = p * (self._radius / torch.where(length > 0, length, torch.ones_like(length)))
        return torch.where(rest == 0, share, self.point(t))
