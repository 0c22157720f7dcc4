"""Adversarial patches: a square of pixels changes, wherever it is."""

from typing import Self

import attrs
import torch
from torch import Tensor

from inradius import ExampleRNG, InputError, ThreatModel
from inradius.components.validators import as_float, count, radius
from inradius.sets.arithmetic.answers import rows_of, value_in_room
from inradius.sets.arithmetic.outward import above
from inradius.sets.arithmetic.rooms import lost_in, outer_room
from inradius.sets.arithmetic.sides import row_box
from inradius.sets.arithmetic.sums import share, total
from inradius.sets.best_part import BestPartOracles
from inradius.sets.box import Box, check_inside, corner, excess, room
from inradius.sets.examples import check_finite
from inradius.sets.limits import Limits, as_limits, box_of, limits
from inradius.sets.region import BoxRegion
from inradius_sets.windows import best_window, least_outside, window_at

# The ℓ1 length of a full step, in moves of a whole window by eps. On MNIST with size 5, 40 steps of PGD break three times
# as many images as with 10 of them, and more do not help.
_STRIDES = 1000
# the most windows that are listed as parts of the set
_WINDOWS = 100


@attrs.frozen(kw_only=True)
class Patch(BestPartOracles, ThreatModel):
    """{δ : δ = 0 outside of one window of size × size pixels, |δ| ≤ eps, x + δ in the box}; not convex, every oracle exact.

    Images (B, channels, H, W); the window may lie anywhere in the image and holds all channels. The radius ``eps`` is in
    units of the inputs: how far the patch's pixels may move, by default across the whole box [0, 1]. The gauge is
    max |δ| / eps, the violation the largest |δ| that the best window leaves out.
    Source: brown2017.
    """

    positional = ("size",)

    size: int = attrs.field(validator=count)
    eps: float = attrs.field(default=1.0, validator=radius, converter=as_float)
    valid: Limits = attrs.field(default=(0.0, 1.0), alias="bounds", validator=limits, converter=as_limits)

    @property
    def bounds(self) -> Box:
        return box_of(self.valid)

    @property
    def radius(self) -> float:
        return self.eps

    def support(self, c: Tensor, x: Tensor) -> Tensor:
        channels, height, width = x.shape[1:]
        # a gain passes so many additions: over channels, then the window's columns, then its rows
        additions = channels + sum(self._window(height, width))

        def most(c: Tensor, low: Tensor, high: Tensor, lost: Tensor, *, slope: bool) -> tuple[Tensor, ...]:
            gains = c * high
            gain, inside = self._best(torch.maximum(gains, c * low, out=gains), x)
            found = gain, gain * above(1 + share(additions + 4, gain.dtype), gain.dtype) + lost.squeeze(-1)
            return (*found, corner(c, low, high) * inside) if slope else found

        low, high = self._outer_cell(x, c.dtype)
        return value_in_room(most, c, low, high, lost_in(low, high))

    def steepest(self, gradient: Tensor, x: Tensor, delta: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        """The gradient, so long that a step of PGD decides anew where the patch is, (B, *S).

        What a shorter step adds outside of the window is lost in the projection, so that the patch would never move.
        """
        with torch.no_grad():
            rows = rows_of(gradient, torch.promote_types(gradient.dtype, x.dtype))
            rows = rows / rows.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny)
            height, width = self._window(*x.shape[-2:])
            reach = _STRIDES * height * width * x.shape[1] * self.eps
            return (rows * (reach / total(rows.abs()).clamp(min=1).unsqueeze(-1))).view(x.shape).to(gradient.dtype)

    def sample(self, x: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        """A window anywhere, its pixels uniform in the box, (B, *S)."""
        rng = rng or ExampleRNG(0, torch.arange(len(x), device=x.device))
        window = self._window(*x.shape[-2:])
        row, column = (
            rng.integers(0, whole - part + 1).to(x.device) for whole, part in zip(x.shape[-2:], window, strict=True)
        )
        inside = window_at(row, column, window, x[:, 0]).unsqueeze(1)
        low, high = (side.view(x.shape).to(x.dtype) for side in self._cell(x, x.dtype))
        there = rng.uniform(tuple(x.shape[1:]), dtype=x.dtype).to(x)
        return self.project((low + there * (high - low)) * inside, x)

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        size = delta.abs().flatten(1).amax(1)
        return torch.where(size > 0, size / self.eps if self.eps else torch.inf, size)

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        outside = least_outside(delta.abs().amax(1), *self._window(*x.shape[-2:]))
        over = excess(delta, x, self.bounds)
        return torch.maximum(outside.to(over.dtype), over)

    def convex_parts(self, x: Tensor) -> tuple[BoxRegion, ...] | None:
        """The box of each window for one example x (1, *S), the windows row by row; None for more than 100 windows."""
        window = self._window(*x.shape[-2:])
        down, across = (whole - part + 1 for whole, part in zip(x.shape[-2:], window, strict=True))
        if down * across > _WINDOWS:
            return None
        low, high = (side.view(x.shape) for side in self._outer_cell(x, x.dtype))
        place = torch.arange(down * across, device=x.device)
        masks = window_at(place // across, place % across, window, x[0, 0])
        return tuple(BoxRegion(low * mask, high * mask) for mask in masks)

    def scaled(self, factor: float) -> Self:
        return attrs.evolve(self, eps=self.eps * factor)

    def check_inputs(self, x: Tensor) -> None:
        if x.ndim != 4:
            raise InputError(
                f"inputs of shape {tuple(x.shape)} are no images; {self} allows (batch, channels, height, width)"
            )
        check_finite(x)
        check_inside(x, self.bounds, self)

    def _window(self, height: int, width: int) -> tuple[int, int]:
        return min(self.size, height), min(self.size, width)

    def _cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        low, high = room(rows_of(x, torch.promote_types(x.dtype, dtype)), row_box(self.bounds, x))
        return low.clamp(min=-self.eps), high.clamp(max=self.eps)

    def _outer_cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        rows = rows_of(x, torch.promote_types(x.dtype, dtype))
        (low, high), radius = outer_room(rows, row_box(self.bounds, x)), above(self.eps, rows.dtype)
        return low.clamp(min=-radius), high.clamp(max=radius)

    def _best(self, gains: Tensor, x: Tensor, *own: Tensor) -> tuple[Tensor, Tensor]:
        """The window with the largest sum of gains, and 1 at its numbers, else 0, (B, K, n) -> (B, K) and (B, K, n)."""
        pixels = gains.view(*gains.shape[:2], *x.shape[1:])
        best, inside = best_window(pixels.sum(-3), *self._window(*x.shape[-2:]))
        return best, inside.unsqueeze(-3).expand_as(pixels).flatten(-3)
