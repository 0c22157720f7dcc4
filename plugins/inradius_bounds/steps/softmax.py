"""Softmax along one axis, as a function of all numbers along it."""

import math

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from inradius_bounds.box import Box
from inradius_bounds.rounding import unit

# exp and log within 8 units in the last place, of arguments up to 745 in size
_ROUNDINGS = 40_000
# sums below this may be lost to underflow
_LOST = 1e-290
# so few numbers are added up by a product with a matrix
_FEW = 64


@attrs.frozen(eq=False)
class Softmax:
    """z -> exp(zₖ) / Σⱼ exp(zⱼ) along the axis ``axis`` of z with all its axes, whose shape is ``full``.

    shown: false where a number is −inf, whose result is 0, (*full); None for none. out_shape: that of one example in a batch of
    bounds.
    """

    full: torch.Size
    axis: int
    out_shape: torch.Size
    shown: Tensor | None = None

    exact = False
    adds = True

    @property
    def terms(self) -> int:
        """The number of exponentials that a result adds up."""
        return int(self.full[self.axis])

    @property
    def fan(self) -> int:
        """The most rows that a number of the relaxation's adjoint adds up."""
        return self.terms

    @property
    def mask(self) -> Tensor | None:
        """``shown`` with the summed axis last."""
        return None if self.shown is None else self.shown.movedim(self.axis, -1)

    def last(self, z: Tensor, front: int = 1) -> Tensor:
        """A value with the summed axis last, (B, *shape) -> (B, ..., n); of rows on it, two axes are in front."""
        return z.reshape(*z.shape[:front], *self.full).movedim(self.axis + front, -1)

    def back(self, z: Tensor, front: int = 1) -> Tensor:
        """The reverse of ``last``."""
        return z.movedim(-1, self.axis + front).reshape(*z.shape[:front], *self.out_shape)

    def __call__(self, z: Tensor) -> Tensor:
        """The shares, (B, *shape)."""
        given = self.last(z)
        if self.mask is None:
            return self.back(given.softmax(-1))
        return self.back(given.masked_fill(~self.mask, -torch.inf).softmax(-1).masked_fill(~self.mask, 0))

    def logarithms(self, box: Box) -> Box:
        """``log_shares`` over a box of z."""
        return log_shares(self.last(box[0].double()), self.last(box[1].double()), self.mask)

    def interval(self, box: Box, logarithms: Box | None = None) -> Box:
        """The box of the shares over a box, rounded outwards; exact up to rounding. logarithms: those over the box, if known."""
        low, high = self.logarithms(box) if logarithms is None else logarithms
        room = 64 * unit(torch.float64)
        ends = [low.exp() * (1 - room), (high.exp() * (1 + room)).clamp(max=1)]
        if self.mask is not None:
            ends = [end.masked_fill(~self.mask, 0) for end in ends]
        info = torch.finfo(box[0].dtype)
        lower, upper = (self.back(end).to(box[0].dtype) for end in ends)
        return (lower * (1 - info.eps) - info.smallest_normal).clamp(min=0), upper * (
            1 + info.eps
        ) + info.smallest_normal

    def magnitude(self, bound: Tensor) -> Tensor:
        """A bound on the sizes of the shares, (B, *shape)."""
        return torch.ones_like(bound)

    def rounded(self, z: Tensor, slack: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The shares, and the error of a run in ``dtype`` whose z may be off by ``slack``, (B, *shape) each."""
        found, eps = self(z), torch.finfo(dtype).eps
        given, error = self.last(z), self.last(slack)
        hidden = torch.zeros_like(given, dtype=torch.bool) if self.mask is None else ~self.mask
        given = given.masked_fill(hidden, 0)
        span = given.amax(-1, keepdim=True) - given.amin(-1, keepdim=True)
        spread = torch.expm1(2 * error.masked_fill(hidden, 0).amax(-1, keepdim=True) + 2 * eps * span)
        room = (spread + eps * (self.terms + 16)).expand(given.shape)
        return found, found * self.back(room) + torch.finfo(dtype).smallest_normal


def log_shares(low: Tensor, high: Tensor, mask: Tensor | None) -> Box:
    """The least and the largest logarithm of each share over a box, in float64, rounded outwards, (B, ..., n).

    Where a side is not finite, the least is −1e300 and the largest 0.
    """
    known = None if mask is None and all_finite(low, high) else _known(low, high, mask)
    if known is not None:
        low, high = low.where(known, 0), high.where(known, 0)
    top = largest(high, mask)
    least, most = powers(low - top, mask), powers(high - top, mask)
    below = (low - top) - (_others(most) + least).clamp(min=1e-300).log()
    sums = _others(least) + most
    above = (high - top) - sums.clamp(min=1e-300).log()
    above = above.where(sums > _LOST, 0)
    slack = unit(torch.float64) * (4 * (low - top).abs() + 4 * (high - top).abs() + 4 * low.shape[-1] + _ROUNDINGS)
    below, above = below - slack, (above + slack).clamp(max=0)
    return (below, above) if known is None else (below.where(known, -1e300), above.where(known, 0))


def all_finite(*given: Tensor) -> bool:
    """True if all numbers are finite; sometimes false for large ones. A finite sum proves it at a fraction of the cost."""
    return math.isfinite(sum(float(each.detach().sum()) for each in given))


def largest(z: Tensor, mask: Tensor | None) -> Tensor:
    """The largest shown number along the last axis of finite numbers, (B, ..., 1); 0 where none is shown."""
    if mask is None:
        return z.amax(-1, keepdim=True)
    top = z.masked_fill(~mask, -torch.inf).amax(-1, keepdim=True)
    return top.where(top.isfinite(), 0)


def powers(z: Tensor, mask: Tensor | None) -> Tensor:
    """exp(z), 0 where a number is not shown."""
    return z.exp() if mask is None else z.exp().masked_fill(~mask, 0)


def _known(low: Tensor, high: Tensor, mask: Tensor | None) -> Tensor:
    """True where all shown sides along the last axis are finite, (B, ..., 1)."""
    fine = low.isfinite() & high.isfinite()
    return (fine if mask is None else fine | ~mask).all(-1, keepdim=True)


def _others(parts: Tensor) -> Tensor:
    """The sum of all other numbers along the last axis for each of them, without a difference that would cancel."""
    size = parts.shape[-1]
    if size <= _FEW:
        return parts @ parts.new_ones(size, size).fill_diagonal_(0)
    before = F.pad(parts.cumsum(-1)[..., :-1], (1, 0))
    behind = F.pad(parts.flip(-1).cumsum(-1)[..., :-1], (1, 0)).flip(-1)
    return before + behind
