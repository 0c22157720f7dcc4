"""Lines of curves whose slopes, and with them the points of tangency, an ascent chooses.

For a slope s the line below f on [ℓ, u] is s z + min(f(z) − s z), and that above is s z + max(f(z) − s z). Both touch the curve: at
a point t with f′(t) = s where the curve bends away from them, else at an end of the interval. So each row and number has one
variable, the share of the slope between the least and the largest, and every share is sound. Source: shi2025.
"""

from collections.abc import Callable
from typing import Any

import attrs
import torch
from torch import Tensor

from inradius import ActivationRule, Operator
from inradius_bounds.backward.chosen_lines import chosen_rows, entries
from inradius_bounds.backward.curve_lines import CurveLines, references
from inradius_bounds.backward.optimised_lines import MEAN
from inradius_bounds.backward.relaxed_rows import RelaxedRows
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.windows import WindowRows
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rounding import unit
from inradius_bounds.rules.activations.piecewise import PiecewiseRule
from inradius_bounds.rules.activations.sampled import SampledRule
from inradius_bounds.rules.relax import smallest_area

# the half width of the differences, as a share of the range of slopes
_WIDTH = 0.01
# the places of an interval whose slopes a range of slopes contains
_PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)


def has_tangents(op: Operator) -> bool:
    """True for a smooth curve, which has lines of any slope."""
    return isinstance(op.rule, ActivationRule) and not isinstance(op.rule, PiecewiseRule)


def numbers_of_share(op: Operator) -> int:
    """The count of numbers that the line of one number of a curve is found from at once."""
    return op.rule.points if isinstance(op.rule, SampledRule) else 1


@attrs.frozen(eq=False)
class TangentRange:
    """The slopes of the lines of a curve over the box [low, high] of its input: first + share · span, (B, *shape) each.

    below, above: the shares of the lines with the smallest area. before, behind: the references of input and curve, or the constant
    of the input and 0. owed, execution: as in ``CurveLines``, for lines of any of the slopes.
    """

    op: Operator
    low: Tensor
    high: Tensor
    first: Tensor
    span: Tensor
    below: Tensor
    above: Tensor
    before: Tensor
    behind: Tensor
    owed: Tensor | None = None
    execution: Tensor | None = None

    @classmethod
    def of(cls, values: ValueBounds, node: Node) -> "TangentRange":
        """The lines of a curve whose input has a box."""
        op = node.required_operator
        low, high = values.box(node.sources[0])
        start = smallest_area(op, low, high)
        first, span = _range(op, low, high, [start.lower_slope, start.upper_slope])
        wide = torch.where(span > 0, span, torch.ones_like(span))
        below, above = (((slope - first) / wide).clamp(0, 1) for slope in (start.lower_slope, start.upper_slope))
        found = cls(op, low, high, first, span, below, above, *references(values, node))
        return found if values.errors is None else found._with_rounding(values, node)

    def _with_rounding(self, values: ValueBounds, node: Node) -> "TangentRange":
        """The range with the rounding errors of rows on the curve.

        A line's distance from the reference is convex in its slope above the curve and concave below, so that it is largest at the
        ends of the range, or 0.
        """
        assert values.errors is not None
        ends = [self.offsets(slope) for slope in (self.first, self.first + self.span)]
        offset = torch.stack([side.abs() for pair in ends for side in pair]).amax(0)
        steep = torch.maximum(self.first.abs(), (self.first + self.span).abs())
        rise = steep * self.before.abs() + self.behind.abs()
        missed = 8 * unit(torch.float64) * (2 * rise + offset)
        dtype = self.low.dtype
        # the slope is rounded where it is made, so it has twice the error of one that is given; it is hardly steeper
        lines = CurveLines(2 * steep, None, (2 * offset).to(dtype), missed.to(dtype))
        reach = (1 + MEAN * unit(dtype)) * steep
        owed = lines.with_rounding(values.errors, node, owed=2 * missed.to(dtype), reach=reach)
        return attrs.evolve(self, owed=owed.owed, execution=owed.execution)

    def offsets(self, slope: Tensor) -> tuple[Tensor, Tensor]:
        """The offsets of the lines below and above with this slope, counted from the references, (B, *shape) each."""
        lines = self.op.rule.with_slope(self.op, slope, self.low, self.high)
        move = slope * self.before - self.behind
        return lines.lower_offset + move, lines.upper_offset + move

    def each(self, change: Callable[[Tensor], Tensor]) -> "TangentRange":
        """The range with every number changed by a function, without rounding errors."""
        return TangentRange(
            self.op,
            low=change(self.low),
            high=change(self.high),
            first=change(self.first),
            span=change(self.span),
            below=change(self.below),
            above=change(self.above),
            before=change(self.before),
            behind=change(self.behind),
        )

    @property
    def bare(self) -> "TangentRange":
        """The range without gradients and rounding errors."""
        return self.each(lambda number: number.detach())

    def select(self, index: Tensor) -> "TangentRange":
        """The range for the chosen examples, without rounding errors."""
        return self.each(lambda number: number[index])

    def seen(self, function: DenseRows | WindowRows) -> "tuple[TangentRange, Tensor | None]":
        """The range at the entries of rows, and 1 at entries within an image, 0 over its padding; None for dense rows."""
        if isinstance(function, WindowRows):
            return self.each(function.seen), function.seen(torch.ones_like(self.low[:1]))
        return self.each(lambda number: number[:, None]), None


@attrs.define(eq=False)
class TangentLines:
    """The lines of a curve in a pass: their range, and the shares of the slopes (B, K, ...) in the form of the rows."""

    fan: TangentRange
    share: Tensor | None = None
    # a pass doubles rows at lines that are not parallel; these lines are for one side
    turn: Tensor | None = None
    _seen: list[tuple[TangentRange, Tensor | None]] = attrs.field(factory=list)

    def select(self, index: Tensor) -> "TangentLines":
        """The lines for the chosen examples."""
        return TangentLines(self.fan.select(index), None if self.share is None else self.share[index])

    def relaxed_rows(self, function: DenseRows | WindowRows) -> RelaxedRows:
        """The rows on the curve's input that stand for rows on the curve."""
        rows = entries(function)
        if not self._seen:
            self._seen.append(self.fan.seen(function))
        fan, inside = self._seen[0]
        if self.share is None:
            self.share = torch.where(rows.detach() >= 0, fan.below, fan.above)
        slope = fan.first + self.share * fan.span
        below, above = _smoothed(slope, fan) if self.share.requires_grad else fan.offsets(slope)
        offset = torch.where(rows >= 0, below, above).to(rows.dtype)
        if inside is not None:
            slope, offset = slope * inside, offset * inside
        return chosen_rows(function, rows * slope, rows * offset, self.fan.owed, self.fan.execution)


class _Smoothed(torch.autograd.Function):
    """The offsets of lines, whose gradient in the slope is a quotient of differences.

    At the slope of a chord the line meets the curve at two points, and rounding would choose between their gradients.
    """

    @staticmethod
    def forward(ctx: Any, slope: Tensor, fan: TangentRange) -> tuple[Tensor, Tensor]:
        step = _WIDTH * fan.span
        ahead, behind = fan.offsets(slope + step), fan.offsets(slope - step)
        wide = torch.where(step > 0, 2 * step, torch.inf)
        ctx.save_for_backward(*((up - down) / wide for up, down in zip(ahead, behind, strict=True)))
        return fan.offsets(slope)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        rises = ctx.saved_tensors
        return sum(gradient * rise for gradient, rise in zip(gradients, rises, strict=True)), None


def _smoothed(slope: Tensor, fan: TangentRange) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = _Smoothed.apply(slope, fan)  # type: ignore[no-untyped-call]
    return found


def _range(op: Operator, low: Tensor, high: Tensor, slopes: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The least slope among those given and those of the curve at places of the interval, and the range of all of them."""
    assert isinstance(op.rule, ActivationRule)
    with torch.no_grad():
        given = [op.rule.slope(op, low + share * (high - low)) for share in _PLACES]
        # where the curve has no slope there, those that are given do
        every = torch.stack(
            [slope if slope.shape == low.shape else slope.expand_as(low) for slope in (*slopes, *given)]
        )
        every = torch.where(every.isfinite(), every, every[:1]).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        first = every.amin(0)
        return first, every.amax(0) - first
