"""The ℓ1 ball ∩ box."""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import ExampleRNG
from inradius.components.validators import count
from inradius.sets.arithmetic.rooms import lost_in
from inradius.sets.arithmetic.sides import Side, width
from inradius.sets.arithmetic.sums import depth, settle, total, upper
from inradius.sets.box import movable
from inradius_lp.algorithms import Answers
from inradius_lp.ball import LpBall
from inradius_lp.knapsack import dearest, dual_value, last_price, purchase
from inradius_lp.sample import scatter
from inradius_lp.soft_threshold import shrink
from inradius_lp.steepest_l1 import movers, spread

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
        amount = shrink(v.abs(), torch.clamp(v.sign() * radius, low, high).abs_(), radius)
        point = settle(amount.copysign_(v), self.length(amount), radius)
        return torch.where(inside, clipped, point)

    def farthest(self, c: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
        c, prices, caps = _market(c, low, high, radius)
        theta, _, _ = self._spend(prices, caps, radius)
        point = purchase(prices, caps, radius, theta).copysign_(c)
        return settle(point, self.length(point), radius)

    def value(self, c: Tensor, low: Tensor, high: Tensor, radius: Tensor, lost: Tensor, *, slope: bool) -> Answers:
        c, prices, caps = _market(c, low, high, radius)
        theta, top, chosen = self._spend(prices, caps, radius)
        value = dual_value(top, chosen, radius, theta)
        found = _raised(value, max(top.shape[-1], c.shape[-1], key=depth), radius, lost)
        return (*found, purchase(prices, caps, radius, theta).copysign_(c)) if slope else found

    def _spend(self, prices: Tensor, caps: Tensor, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        top, chosen = dearest(prices, caps, radius, self._first(prices))
        return last_price(top, chosen, radius, complete=top.shape[-1] == prices.shape[-1]), top, chosen

    def value_bound(
        self, c: Tensor, low: Tensor, high: Tensor, radius: Tensor, lost: Tensor, *, slope: bool
    ) -> Answers:
        c, prices, caps = _market(c, low, high, radius)
        size = c.shape[-1]
        count = min(_CHEAP, self._first(prices), size)
        top, places = prices.topk(count, dim=-1)
        chosen = caps.gather(-1, places)
        theta = last_price(top, chosen, radius, complete=count == size)
        ball, box = dual_value(top, chosen, radius, theta), total(prices * caps)
        found = _raised(torch.minimum(ball, box), max(count, size, key=depth), radius, lost)
        if not slope:
            return found
        theta = torch.where((ball <= box).unsqueeze(-1), theta, 0)
        return *found, purchase(prices, caps, radius, theta).copysign_(c)

    def ascent(
        self, gradient: Tensor, low: Tensor, high: Tensor, radius: Tensor, rng: ExampleRNG | None, rounding: Side
    ) -> Tensor:
        rng = rng or ExampleRNG(0, torch.arange(len(gradient), device=gradient.device))
        k = rng.integers(self.k1, self.k2 + 1).to(gradient.device)
        return spread(gradient, movers(gradient, low, high, radius, rounding), radius, k, self.k2)

    def draw(self, rng: ExampleRNG, shape: tuple[int, ...], dtype: torch.dtype, free: Tensor | None) -> Tensor:
        return scatter(self.length, rng, shape, dtype, free)

    def _first(self, prices: Tensor) -> int:
        """The number of coordinates that the knapsack sorts at first: twice as many as the radius can move across the whole box."""
        return 8 + int(min(2 * self.eps / width(self.bounds), prices.shape[-1]))


def _market(c: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The direction where it can move, prices |c|, and caps: how far each coordinate can go, three of (..., n)."""
    c = movable(c, low, high)
    return c, c.abs(), torch.clamp(c.sign().mul_(radius), low, high).abs_()


def _raised(value: Tensor, size: int, radius: Tensor, lost: Tensor) -> tuple[Tensor, Tensor]:
    """A dual value of so many terms, and rounded upwards; underflow takes from θ · radius what it takes from a coordinate."""
    return value, upper(value, size) + 2 * (lost + lost_in(-radius, radius)).squeeze(-1)
