"""The ℓ1 ball ∩ box."""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import Streams
from inradius.validators import count
from inradius_lp.ball import LpBall
from inradius_lp.box import movable
from inradius_lp.knapsack import dual_value, fill, last_price
from inradius_lp.sample import scatter
from inradius_lp.soft_threshold import shrink
from inradius_lp.spread import spread
from inradius_lp.sums import settle, total, upper

# How many coordinates the cheap bound sorts at most.
_CHEAP = 64


@attrs.frozen(kw_only=True)
class L1(LpBall):
    """{δ : ‖δ‖₁ ≤ eps, x + δ in the box}; the radius is in units of the inputs, over all coordinates together.

    Projection is a soft threshold with a clip, linear maximisation a fractional knapsack. The step of steepest ascent
    spreads the radius over k coordinates, k drawn from k1 to k2 for each example.
    """

    order: ClassVar[float] = 1.0

    k1: int = attrs.field(default=5, validator=count)  # maini2020, as the thesis uses it (5.3.4)
    k2: int = attrs.field(default=20, validator=count)  # likewise

    @k2.validator
    def _check_order(self, _: object, value: int) -> None:
        if value < self.k1:
            raise ValueError(f"k2={value} is below k1={self.k1}; allowed is k1 ≤ k2")

    def length(self, z: Tensor) -> Tensor:
        return total(z.abs())

    def nearest(self, v: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
        clipped = torch.clamp(v, low, high)
        inside = (self.length(clipped) <= radius.squeeze(-1)).unsqueeze(-1)
        if bool(inside.all()):
            return clipped
        amount = shrink(v.abs(), _caps(v, low, high, radius), radius)
        point = settle(amount.copysign_(v), self.length(amount), radius)
        return torch.where(inside, clipped, point)

    def farthest(self, c: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
        c = movable(c, low, high)
        _, _, amounts, places = fill(c.abs(), _caps(c, low, high, radius), radius, self._first(radius))
        return settle(_spend(c, amounts, places), self.length(amounts), radius)

    def value(self, c: Tensor, low: Tensor, high: Tensor, radius: Tensor, *, slope: bool) -> tuple[Tensor, ...]:
        c = movable(c, low, high)
        prices, caps, amounts, places = fill(c.abs(), _caps(c, low, high, radius), radius, self._first(radius))
        theta = last_price(prices, caps, radius, complete=prices.shape[-1] == c.shape[-1])
        value = upper(dual_value(prices, caps, radius, theta), c.shape[-1])
        return (value, _spend(c, amounts, places)) if slope else (value,)

    def value_bound(self, c: Tensor, low: Tensor, high: Tensor, radius: Tensor, *, slope: bool) -> tuple[Tensor, ...]:
        c = movable(c, low, high)
        size, corner = c.shape[-1], torch.clamp(c.sign() * radius, low, high)
        count = min(_CHEAP, self._first(radius), size)
        prices, places = c.abs().topk(count, dim=-1)
        caps = corner.gather(-1, places).abs_()
        theta = last_price(prices, caps, radius, complete=count == size)
        ball, box = dual_value(prices, caps, radius, theta), total(c * corner)
        value = upper(torch.minimum(ball, box), size)
        if not slope:
            return (value,)
        theta = torch.where((ball <= box).unsqueeze(-1), theta, 0)
        return value, corner * (c.abs() > theta)

    def ascent(
        self, gradient: Tensor, low: Tensor, high: Tensor, radius: Tensor, rng: Streams | None, rounding: float
    ) -> Tensor:
        rng = rng or Streams(0, torch.arange(len(gradient), device=gradient.device))
        k = rng.integers(self.k1, self.k2 + 1).to(gradient.device)
        free = torch.where(gradient > 0, high, -low) > rounding
        return spread(gradient, free, radius, k)

    def draw(self, rng: Streams, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return scatter(self.length, rng, shape, dtype)

    def _first(self, radius: Tensor) -> int:
        """How many coordinates the knapsack sorts at first: twice what the radius fills where the whole box is free."""
        width = self.bounds[1] - self.bounds[0] if self.bounds else torch.inf
        return 8 + int(2 * float(radius.max()) / width) if radius.numel() else 8


def _caps(c: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
    """How far each coordinate can move along the sign of c, (..., n)."""
    return torch.clamp(c.sign().mul_(radius), low, high).abs_()


def _spend(c: Tensor, amounts: Tensor, places: Tensor) -> Tensor:
    """The amounts in their places, with the signs of c, (..., n)."""
    return torch.zeros_like(c).scatter_(-1, places, amounts * c.sign().gather(-1, places))
