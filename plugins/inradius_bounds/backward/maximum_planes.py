"""The planes that stand for the largest number of a window in a backward pass, each with one number of the window.

Below: any number of the window, and 0 where the maximum is clipped; taken is the number whose box has the highest middle. Above:
zᵢ with the largest upper bound, and c, which no other number exceeds. The maximum is at most max(zᵢ, c), which is convex in zᵢ, so
that the chord over the box of zᵢ lies above it. A row on a window becomes a row with two entries at most that are not 0.
Source: xiao2024.
"""

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.factor_rows import FactorRows
from inradius_bounds.backward.planes import Planes
from inradius_bounds.backward.rows.addition import LinearFunctions
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.dot import dot_terms
from inradius_bounds.backward.rows.units import UnitRows
from inradius_bounds.backward.rows.windows import WindowRows, total
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.rounding_errors import RoundingErrors
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rounding import ROOM, tiny, unit
from inradius_bounds.steps.window_maximum import WindowMaximum

F64 = torch.float64


@attrs.frozen(eq=False)
class MaximumPlanes(Planes):
    """The planes ⟨slope ∓ lean, z⟩ + offset ∓ band below and above the largest number of each window of z.

    slope, lean: (B, *in), at most two of the numbers of a window not 0. offset and band, as in ``Planes``: (B, *out).
    """

    step: WindowMaximum
    slope: Tensor
    lean: Tensor

    @classmethod
    def of(cls, values: ValueBounds, node: Node) -> "MaximumPlanes":
        """The planes of maxima over windows of a value that has a box."""
        step, source = node.product, node.sources[0]
        assert isinstance(step, WindowMaximum)
        dtype = values.x.dtype
        low, high = (step.split(side.to(F64)) for side in values.box(source))
        before, behind = _references(values, node, step)
        below, above, rise = _chosen(step, low, high, dtype)
        floor = (below * before).sum(-1) - behind
        ceiling = (above * before).sum(-1) + rise - behind
        size = ((below + above) * before.abs()).sum(-1) + rise.abs() + behind.abs()
        # the products with the references, their sums, and those of the two offsets
        band = (ceiling - floor) / 2 + 8 * unit(F64) * size
        slope, lean = (step.joined(part).to(dtype) for part in ((above + below) / 2, (above - below) / 2))
        found = cls(step, slope, lean, offset=((ceiling + floor) / 2).to(dtype), band=band.to(dtype))
        return found if values.errors is None else found._with_rounding(values.errors, node)

    def _with_rounding(self, errors: RoundingErrors, node: Node) -> "MaximumPlanes":
        """The planes with the rounding errors of rows on the maxima."""
        step, source, dtype = self.step, node.sources[0], self.band.dtype
        steep = self.slope.abs() + self.lean.abs()
        far, handed, own = errors.deviations.deviation(source), errors.rows.handed(source), errors.rows.own(node)
        u, terms = ROOM * unit(dtype), dot_terms(node.stored) + 4
        passed = (8 + 2 * errors.rows.adds(node)) * u * steep * far
        execution = own[1]
        if handed is not None:
            passed = passed + steep * handed[0]
            if execution is not None:
                execution = None if handed[1] is None else execution + step.total(steep * handed[1])
        # products with slopes, offsets and bands may underflow
        small = 4 * tiny(dtype) * (1 + step.counted + step.total(far.expand_as(steep)))
        owed = own[0] + step.total(passed) + terms * u * (self.offset.abs() + self.band.abs()) + small
        return attrs.evolve(self, owed=ROOM * owed, execution=None if execution is None else ROOM * execution)

    def form(self, function: LinearFunctions, shape: torch.Size) -> DenseRows | WindowRows:
        return function.spread(shape) if isinstance(function, UnitRows) else function

    def product_rows(self, function: DenseRows | WindowRows) -> FactorRows:
        """The rows on the image that stand for rows on the maxima."""
        if isinstance(function, DenseRows):
            return self._joined(function.rows, (self._dense(function.rows),))
        rows = function.families
        size = rows.abs()
        offset, band = function.seen_together([self.offset, self.band])
        owed, execution = (
            None if part is None else total(size * function.seen(part.expand_as(self.band)))
            for part in (self.owed, self.execution)
        )
        constant = total((rows * offset).addcmul_(size, band, value=-1))
        found = self._windows(function)
        rest = found if found.small(self.step.in_shape) else found.dense(self.step.in_shape)
        return FactorRows((rest,), constant, None, owed, execution)

    def _dense(self, rows: Tensor) -> DenseRows:
        """The rows (B, K, *out) with each number at all places of its window, times the slopes there."""
        (channels, height, _), (down, across) = self.step.out_shape, self.step.size
        shape = (-1, 1, channels, height, down, self.step.in_shape[2])
        # along the last axis numbers are copied, as products of short runs are slow
        spread = rows.repeat_interleave(across, dim=4)[..., :, None, :]
        found = spread * self.slope.reshape(shape)
        found = torch.addcmul(found, spread.abs(), self.lean.reshape(shape), value=-1)
        return DenseRows(found.reshape(*rows.shape[:2], *self.step.in_shape))

    def _windows(self, function: WindowRows) -> WindowRows:
        down, across = self.step.size
        rows = function.families.repeat_interleave(across, dim=4)
        height, width = rows.shape[3] * down, rows.shape[4]
        geometry = function.geometry.pulled((height, width), self.step.size, (0, 0))
        grown = attrs.evolve(function, geometry=geometry)
        spread = rows[:, :, :, :, None]
        slope, lean = (_by_windows(seen, down) for seen in grown.seen_together([self.slope, self.lean]))
        found = (spread * slope).addcmul_(spread.abs(), lean, value=-1)
        found = found.reshape(*function.rows.shape[:2], height, width, found.shape[-1])
        return attrs.evolve(grown, rows=found, clean=True)


def _by_windows(seen: Tensor, down: int) -> Tensor:
    """Entries of an image with an axis for the rows of a window, (B, 1, K, h, w, C) -> (B, 1, K, h / down, down, w, C)."""
    return seen.reshape(*seen.shape[:3], -1, down, *seen.shape[4:])


def _references(values: ValueBounds, node: Node, step: WindowMaximum) -> tuple[Tensor, Tensor]:
    """The references of the image, by windows (B, *out, n), and of the maxima (B, *out); without references constants."""
    source = node.sources[0]
    if values.about is not None:
        return step.split(values.about.value(source)), values.about.value(node)
    constant, box = values.handed(source), values.box(source)[0]
    before = torch.zeros_like(box) if constant is None else constant.expand_as(box)
    return step.split(before.to(F64)), torch.zeros(len(box), *node.stored, dtype=F64, device=box.device)


def _chosen(step: WindowMaximum, low: Tensor, high: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """The slopes of the planes below and above, (B, *out, n), and the offset of the plane above, (B, *out), for boxes of windows.

    The plane below has no offset. All is in float64, and slopes are numbers of ``dtype``.
    """
    top, first = high.max(-1, keepdim=True)
    least = low.gather(-1, first)
    rival = high.scatter(-1, first, -torch.inf).amax(-1, keepdim=True)
    rival = rival.clamp(min=0) if step.clipped else rival
    decided = least >= rival
    width = torch.where(top > least, top - least, 1.0)
    chord = ((top - rival) / width).to(dtype).to(F64)
    chord = torch.where(chord.isfinite(), chord, 0.0).clamp(0, 1)
    ends = torch.maximum(rival - chord * least, torch.maximum(top, rival) - chord * top)
    rise = ends + 8 * unit(F64) * (rival.abs() + top.abs() + (chord * least).abs())
    # where one number is surely the largest, both planes are that number
    middle = (low + high).argmax(-1, keepdim=True)
    second = torch.where(decided, first, middle)
    steep = torch.ones_like(top)
    if step.clipped:
        steep = (decided | (high.gather(-1, second) > -low.gather(-1, second))).to(F64)
    zeros = torch.zeros_like(low)
    below = zeros.scatter(-1, second, steep)
    above = zeros.scatter(-1, first, torch.where(decided, 1.0, chord))
    return below, above, torch.where(decided, 0.0, rise).squeeze(-1)
