"""The planes that stand for a softmax in a backward pass, without a matrix of all pairs of numbers.

Below: p = exp(zₖ) / Σ exp(zⱼ) is at least exp(zₖ) / S(z), where S adds up the chords of the exponentials over the box. This
quotient is convex, and its tangent at the middle lies below it. Above: p = exp(v) with v = zₖ − log Σ exp(zⱼ), which is at most the
chord of exp over the least and the largest v; v is concave, and its tangent at the middle lies above it. Source: wei2023.
"""

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.curve_lines import references
from inradius_bounds.backward.factor_rows import FactorRows
from inradius_bounds.backward.planes import Planes
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.dot import dot_terms
from inradius_bounds.box import Box
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.magnitudes import total
from inradius_bounds.network.rounding_errors import RoundingErrors
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rounding import ROOM, gamma, tiny, unit
from inradius_bounds.steps.softmax import Softmax, largest, powers

F64 = torch.float64
# the relative error of sums and quotients of exponentials in float64, besides the number of terms
_ROUNDINGS = 40_000


@attrs.frozen(eq=False)
class _Side:
    """A plane at + gain · (zₖ − cₖ) − weight · ⟨pull, z − c⟩ for each number k, with c the middle, (B, ..., n) each.

    slack: the most that rounding in float64 may have moved the plane to the wrong side over the box.
    """

    at: Tensor
    gain: Tensor
    weight: Tensor
    pull: Tensor
    slack: Tensor

    def rounded(self, dtype: torch.dtype, half: Tensor) -> "_Side":
        """The plane with coefficients of a type, in float64; half: the distance of z from the middle."""
        if dtype == F64:
            return self
        gain, weight, pull = (part.to(dtype).to(F64) for part in (self.gain, self.weight, self.pull))
        moved = self.gain * half + self.weight * (self.pull * half).sum(-1, keepdim=True)
        # each coefficient is rounded, and may underflow
        small = 8 * tiny(dtype) * (1 + half.sum(-1, keepdim=True))
        return _Side(self.at, gain, weight, pull, self.slack + 4 * unit(dtype) * moved + small)

    def over(self, step: Tensor) -> Tensor:
        """gain · stepₖ − weight · ⟨pull, step⟩, (B, ..., n)."""
        return self.gain * step - self.weight * (self.pull * step).sum(-1, keepdim=True)

    def size(self, far: Tensor) -> Tensor:
        """gain · farₖ + weight · ⟨pull, far⟩ for distances, (B, ..., n)."""
        return self.gain * far + self.weight * (self.pull * far).sum(-1, keepdim=True)


@attrs.frozen(eq=False)
class SoftmaxPlanes(Planes):
    """The planes below and above a softmax, with coefficients as in ``_Side``, (B, ..., n); no error of an execution is counted."""

    step: Softmax
    below: _Side
    above: _Side

    @classmethod
    def of(cls, values: ValueBounds, node: Node) -> "SoftmaxPlanes":
        """The planes of a softmax whose argument has a box."""
        step = node.product
        assert isinstance(step, Softmax)
        low, high = (step.last(side.to(F64)) for side in values.box(node.sources[0]))
        dtype = values.x.dtype
        middle, half, sides = _sides(low, high, step.mask, values.logarithms.of(node, values.box(node.sources[0])))
        below, above = (side.rounded(dtype, half) for side in sides)
        start, before = (step.last(part.to(F64)) for part in references(values, node))
        move = (start - middle).where(half.isfinite(), 0)
        floor, ceiling = below.at + below.over(move) - below.slack, above.at + above.over(move) + above.slack
        # sums of n + 8 numbers in float64, and the conversion of the offsets
        size = below.at + above.at + below.size(move.abs()) + above.size(move.abs()) + before.abs()
        room = gamma(step.terms + 16, F64) * size + 4 * unit(dtype) * (
            (floor - before).abs() + (ceiling - before).abs()
        )
        floor, ceiling = floor - room - before, ceiling + room - before
        offset, band = ((step.back(part)).to(dtype) for part in ((floor + ceiling) / 2, (ceiling - floor) / 2))
        below, above = (
            attrs.evolve(side, **{name: getattr(side, name).to(dtype) for name in ("gain", "weight", "pull")})
            for side in (below, above)
        )
        found = cls(step, below, above, offset=offset, band=band)
        return found if values.errors is None else found._with_rounding(values.errors, node)

    def _with_rounding(self, errors: RoundingErrors, node: Node) -> "SoftmaxPlanes":
        """The planes with the rounding errors of rows on the softmax."""
        step, source, dtype = self.step, node.sources[0], self.band.dtype
        far, handed = errors.deviations.deviation(source), errors.rows.handed(source)
        count, terms = step.terms + 12, dot_terms(node.stored) + 4
        steep = self._size(far)
        owed = (
            gamma(2 * count + 2 * errors.rows.adds(node), dtype) * steep
            + terms * ROOM * unit(dtype) * (self.offset.abs() + self.band)
            # products with coefficients, offsets and bands may underflow
            + 8 * tiny(dtype) * count * (1 + total(far).view(-1, *(1,) * len(node.stored)))
        )
        if handed is not None:
            owed = owed + self._size(handed[0].expand_as(far))
        band = self.band * (1 + 8 * unit(dtype)) + tiny(dtype)
        return attrs.evolve(self, band=band, owed=ROOM * owed)

    def _size(self, far: Tensor) -> Tensor:
        """The most that rows of size 1 on the softmax make of distances of its argument, (B, *shape)."""
        given = self.step.last(far)
        return self.step.back(self.below.size(given) + self.above.size(given))

    def product_rows(self, function: DenseRows) -> FactorRows:
        """The rows on the argument that stand for rows on the softmax."""
        rows = self.step.last(function.rows, 2)
        below, above = self.below, self.above
        lifted, lowered = rows.clamp(min=0), rows.clamp(max=0)
        found = lifted * below.gain[:, None] + lowered * above.gain[:, None]
        for part, side in ((lifted, below), (lowered, above)):
            found = found - (part * side.weight[:, None]).sum(-1, keepdim=True) * side.pull[:, None]
        return self._joined(function.rows, (DenseRows(self.step.back(found, 2)),))


def _sides(
    low: Tensor, high: Tensor, mask: Tensor | None, logarithms: Box
) -> tuple[Tensor, Tensor, tuple[_Side, _Side]]:
    """The middle and the half width of a box, and the planes below and above, in float64, (B, ..., n) each.

    logarithms: those of the shares over the box.

    Where a side of the box is not finite, the planes are 0 and 1.
    """
    first, last = logarithms
    known = (first > -1e299).all(-1, keepdim=True) if mask is None else ((first > -1e299) | ~mask).all(-1, keepdim=True)
    whole = bool(known.all())
    if not whole:
        low, high, first = low.where(known, 0), high.where(known, 0), first.where(known, -1.0)
    middle = (low + high) / 2
    half = torch.maximum(high - middle, middle - low) * (1 + 4 * unit(F64))
    share = unit(F64) * (_ROUNDINGS + 8 * low.shape[-1])
    below = _tangent_below(low, high, middle, half, mask, share)
    above = _tangent_above(first, last, middle, half, mask, share)
    if whole and mask is None:
        return middle, half, (below, above)
    shown = known if mask is None else known & mask
    nothing = torch.zeros_like(middle)
    below, above = (
        _Side(
            *(
                part.expand_as(middle).where(shown, nothing)
                for part in (side.at, side.gain, side.weight, side.pull, side.slack)
            )
        )
        for side in (below, above)
    )
    if not whole:
        above = attrs.evolve(above, at=torch.where(known, above.at, 1.0))
    return middle, half, (below, above)


def _tangent_below(low: Tensor, high: Tensor, middle: Tensor, half: Tensor, mask: Tensor | None, share: float) -> _Side:
    """The tangent of exp(zₖ) / S(z) at the middle."""
    top = largest(high, mask)
    width, least, most = high - low, powers(low - top, mask), powers(high - top, mask)
    wide = torch.where(width > 0, width, 1.0)
    chord = torch.where(width > 1, (most - least) / wide, least * torch.where(width > 0, torch.expm1(wide) / wide, 1.0))
    # chords that are a little steeper lie above the exponentials as well
    chord, least = chord * (1 + share), least * (1 + share)
    total_below = (least + chord * (middle - low)).sum(-1, keepdim=True).clamp(min=1e-300)
    at = powers(middle - top, mask) / total_below
    slack = 8 * share * at * (3 + half)
    return _Side(at, at, at / total_below, chord, slack)


def _tangent_above(
    first: Tensor, last: Tensor, middle: Tensor, half: Tensor, mask: Tensor | None, share: float
) -> _Side:
    """The chord of exp between the logarithms of the least and the largest share, at the tangent of zₖ − log Σ exp(zⱼ)."""
    width = (last - first).clamp(min=1e-14)
    chord = torch.where(width > 1, (last.exp() - first.exp()) / width, first.exp() * torch.expm1(width) / width)
    start = first.exp() * (1 + share)
    top = largest(middle, mask)
    parts = powers(middle - top, mask)
    sums = parts.sum(-1, keepdim=True).clamp(min=1e-300)
    at, shares = (middle - top) - sums.log(), parts / sums
    # the chord is a little steeper and begins a little higher
    chord = chord * (1 + share)
    rise = chord * (at - first).abs()
    slack = 8 * share * (start + rise + chord * (half + (shares * half).sum(-1, keepdim=True)))
    slack = slack + chord * unit(F64) * (16 * (middle - top).abs() + 16 * first.abs() + _ROUNDINGS)
    return _Side(start + chord * (at - first), chord, chord, shares, slack)
