"""The ℓ0 ball ∩ box: a few pixels change, each as far as the box lets it."""

from typing import Any, Self

import attrs
import torch
from attrs.validators import in_
from torch import Tensor

from inradius import ExampleRNG, InputError, PerExample, ThreatModel
from inradius.components.validators import radius
from inradius.sets.arithmetic.answers import rows_of, value_in_room
from inradius.sets.arithmetic.rooms import lost_in, outer_room
from inradius.sets.arithmetic.sides import row_box, width
from inradius.sets.arithmetic.sums import depth, total, upper
from inradius.sets.best_part import BestPartOracles
from inradius.sets.box import Box, check_inside, corner, excess, room
from inradius.sets.examples import check_finite
from inradius.sets.limits import Limits, as_limits, box_of, limits
from inradius_lp.mask import as_mask, free, mask, masked, outside, within_mask

# The ℓ1 length of a full step, in crossings of the box by all k pixels. On MNIST with k = 10, 40 steps of PGD break twice
# as many images as with 40 crossings, and more do not help.
_STRIDES = 1000
# what rounding of a factor may take from a whole number of pixels, as a share of it
_ROUNDING = {torch.float64: 1e-9}
_COARSE = 1e-6


def _as_count(value: object) -> object:
    """A number as a float, and as a whole one where rounding alone keeps it from that: 0.1 · 30 is 3."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 2**53:
        return value
    near = float(round(value))
    return near if abs(value - near) <= 1e-9 * near else float(value)


def _bounded(instance: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    if value is None:
        raise ValueError(
            f"{field.alias}=None is not allowed: without a box the {instance.spec_name()} set is unbounded; "
            "allowed is a pair (low, high) with low < high"
        )
    limits(instance, field, value)


@attrs.frozen(kw_only=True)
class L0(BestPartOracles, ThreatModel):
    """{δ : at most k pixels change, x + δ in the box}; not convex, and every oracle is exact.

    The radius k is a number of pixels; of a k that is no integer the whole part counts, while the gauge is (number of
    changed pixels) / k. A pixel of images (B, channels, H, W) has all of its channels, as is usual (croce2019); with
    ``per="coordinate"``, and for inputs of any other shape, each number counts by itself. ``bounds`` and ``mask`` are as of the
    norm balls, with one mask for all examples.
    """

    positional = ("k",)

    k: float = attrs.field(validator=radius, converter=_as_count)
    per: str = attrs.field(default="pixel", validator=in_(("pixel", "coordinate")))
    valid: Limits = attrs.field(default=(0.0, 1.0), alias="bounds", validator=_bounded, converter=as_limits)
    mask: str | None = attrs.field(default=None, validator=mask, converter=as_mask)

    @property
    def bounds(self) -> Box:
        return box_of(self.valid)

    @property
    def radius(self) -> float:
        return self.k

    def support(self, c: Tensor, x: Tensor) -> Tensor:
        channels = self._channels(x)

        def most(c: Tensor, low: Tensor, high: Tensor, lost: Tensor, *, slope: bool) -> tuple[Tensor, ...]:
            gains, kept = self._best(torch.maximum(c * high, c * low), x)
            value = total(gains)
            found = value, upper(value, gains.shape[-1], depth(channels) + 4) + lost.squeeze(-1)
            return (*found, corner(c, low, high) * kept) if slope else found

        low, high = self._outer_cell(x, c.dtype)
        return value_in_room(most, c, low, high, lost_in(low, high))

    def steepest(self, gradient: Tensor, x: Tensor, delta: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        """The gradient, so long that a step of PGD decides anew which pixels change, (B, *S).

        What a shorter step adds to pixels that are not chosen is lost in the projection, so that none would ever be
        exchanged for another. Source: croce2019.
        """
        return self.ascent(gradient, x, self._count(x.shape[1:].numel()))

    def ascent(self, gradient: Tensor, x: Tensor, count: int | Tensor) -> Tensor:
        """``steepest`` where so many pixels may change, a number or one for each example, (B, 1, 1), (B, *S)."""
        with torch.no_grad():
            rows = rows_of(gradient, torch.promote_types(gradient.dtype, x.dtype))
            rows = masked(rows, free(self.mask, x))
            rows = rows / rows.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny)
            length = total(rows.abs()).clamp(min=1).unsqueeze(-1)
            reach = _STRIDES * count * self._channels(x) * self._width
            return (rows * (reach / length)).view(x.shape).to(gradient.dtype)

    def sample(self, x: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        """Pixels chosen at random, each uniform in the box, (B, *S)."""
        rng = rng or ExampleRNG(0, torch.arange(len(x), device=x.device))
        channels, shape = self._channels(x), tuple(x.shape[1:])
        where = rng.uniform((1, x.shape[1:].numel() // channels), dtype=x.dtype).repeat(1, 1, channels).to(x)
        low, high = (side.view(x.shape).to(x.dtype) for side in self._cell(x, x.dtype))
        # pixels without room come last
        _, kept = self._best(where * (high > low).view(where.shape), x)
        there = rng.uniform(shape, dtype=x.dtype).to(x)
        return self.project((low + there * (high - low)) * kept.view(x.shape), x)

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        count = self.changed(delta)
        return torch.where(count > 0, count / self.k if self.k else torch.inf, count)

    def changed(self, delta: Tensor) -> Tensor:
        """The number of changed pixels, (B,)."""
        moved = self._pixels(delta.flatten(1).unsqueeze(1) != 0, self._channels(delta)).any(-2).sum(-1)[:, 0]
        return moved.to(delta.dtype)

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        over, mask = excess(delta, x, self.bounds), free(self.mask, x)
        return over if mask is None else torch.maximum(over, outside(delta, mask).to(over))

    def scaled(self, factor: float) -> Self:
        return attrs.evolve(self, k=self.k * factor)

    def per_example(self, factors: Tensor) -> "L0PerExample":
        return L0PerExample(self, factors)

    def check_inputs(self, x: Tensor) -> None:
        check_finite(x)
        check_inside(x, self.bounds, self)
        free(self.mask, x)

    @property
    def _width(self) -> float:
        return width(self.bounds)

    def _channels(self, x: Tensor) -> int:
        return x.shape[1] if self.per == "pixel" and x.ndim == 4 else 1

    def _count(self, pixels: int) -> int:
        return int(min(self.k, pixels))

    def _cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        return self.cell(x, dtype)

    def cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The room of each coordinate, two of (B, 1, n)."""
        rows = rows_of(x, torch.promote_types(x.dtype, dtype))
        return within_mask(*room(rows, row_box(self.bounds, x)), free(self.mask, x))

    def _outer_cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        rows = rows_of(x, torch.promote_types(x.dtype, dtype))
        low, high = within_mask(*outer_room(rows, row_box(self.bounds, x)), free(self.mask, x))
        return low * min(1, int(self.k)), high * min(1, int(self.k))

    def _pixels(self, rows: Tensor, channels: int) -> Tensor:
        """The numbers of each pixel in a column, (B, K, n) -> (B, K, channels, pixels)."""
        return rows.view(*rows.shape[:-1], channels, rows.shape[-1] // channels)

    def _best(self, gains: Tensor, x: Tensor, *own: Tensor) -> tuple[Tensor, Tensor]:
        return self.best(gains, x, torch.full((1, 1, 1), self._count(gains.shape[-1]), device=x.device))

    def best(self, gains: Tensor, x: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """The largest gains of pixels, in order, and 1 at their numbers, else 0, (B, K, most) and (B, K, n).

        ``counts`` (B or 1, 1, 1) of them are taken, of which the largest is ``most``; further gains are 0.
        """
        channels = self._channels(x)
        pixels = total(self._pixels(gains, channels).movedim(-2, -1))
        most = min(int(counts.max()), pixels.shape[-1]) if len(counts) else 0
        top, places = pixels.topk(most, dim=-1)
        within = (torch.arange(most, device=counts.device) < counts).to(top)
        kept = torch.zeros_like(pixels).scatter_(-1, places, within.expand_as(top))
        return top * within, kept.unsqueeze(-2).expand(*kept.shape[:-1], channels, -1).flatten(-2)


class L0PerExample(BestPartOracles, PerExample):
    """The ℓ0 ball ∩ box with a radius of its own for each example; points and gauges of all examples at once.

    Support functions are those of the ball scaled, group by group of equal radii.
    """

    def __init__(self, ball: L0, factors: Tensor) -> None:
        super().__init__(ball, factors)
        self._ball = ball
        # on the CPU, since not every device has float64
        radii = factors.detach().cpu().double() * ball.k
        near = radii.round()
        self._radii = torch.where((radii - near).abs() <= _ROUNDING.get(factors.dtype, _COARSE) * near, near, radii)

    @property
    def symmetric(self) -> bool:
        return False  # x and x + δ may have different radii

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        count = self._ball.changed(delta)
        radii = self._own(x).to(count)
        return torch.where(count > 0, torch.where(radii > 0, count / radii, torch.inf), count)

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        return self._ball.violation(delta, x)

    def hull(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return PerExample.hull(self, x)

    def steepest(self, gradient: Tensor, x: Tensor, delta: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        return self._ball.ascent(gradient, x, self._counts(x).to(gradient))

    def per_example(self, factors: Tensor) -> "L0PerExample":
        return L0PerExample(self._ball, self.multiplied(factors))

    def select(self, index: Tensor) -> "L0PerExample":
        return L0PerExample(self._ball, self.factors[index])

    def members(self) -> "tuple[L0PerExample]":
        return (self,)

    def _cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        return *self._ball.cell(x, dtype), self._counts(x)

    def _outer_cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def _best(self, gains: Tensor, x: Tensor, *own: Tensor) -> tuple[Tensor, Tensor]:
        return self._ball.best(gains, x, *own)

    def _counts(self, x: Tensor) -> Tensor:
        """The whole pixels of each radius, (B, 1, 1)."""
        return self._own(x).clamp(max=x.shape[1:].numel()).floor().view(-1, 1, 1).to(x.device, torch.int64)

    def _own(self, x: Tensor) -> Tensor:
        """The radius of each example, (B,)."""
        if len(x) != len(self._radii):
            raise InputError(f"{len(self._radii)} radii were given for {len(x)} examples; allowed is one each")
        return self._radii
