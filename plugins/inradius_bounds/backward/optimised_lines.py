"""Lines for slopes that an ascent chooses.

The line below a curve is a mean of the first and the last of its rule's lines, with a share for each row and number.
"""

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.chosen_lines import chosen_rows, entries
from inradius_bounds.backward.curve_lines import CurveLines, moved
from inradius_bounds.backward.relaxed_rows import RelaxedRows
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.windows import WindowRows
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rounding import unit

# the units by which rounding makes a mean of slopes, and rows times it, larger; six are less
MEAN = 16

Side = tuple[Tensor, Tensor]


@attrs.frozen(eq=False)
class LineRange:
    """The line above a curve, and its first and last line below: slopes and offsets (B, *shape), constants in the offsets.

    owed, execution: as in ``CurveLines``, for any mean of the lines below.
    """

    above: Side
    first: Side
    last: Side
    owed: Tensor | None
    execution: Tensor | None

    @classmethod
    def of(cls, values: ValueBounds, node: Node) -> "LineRange":
        """The lines of a curve whose input has a box."""
        op, source = node.required_operator, node.sources[0]
        floor, ceiling = op.rule.lines(op, *values.box(source))
        lines = (ceiling[0], floor[0], floor[-1])
        found = [moved(values, node, *line) for line in lines]
        sides = [(line[0], offset.to(line[0].dtype)) for line, (offset, _) in zip(lines, found, strict=True)]
        if values.errors is None:
            return cls(sides[0], sides[1], sides[2], None, None)
        slope, offset = (torch.stack([side[part].abs() for side in sides]).amax(0) for part in (0, 1))
        missed = sum((each.to(offset.dtype) for _, each in found if each is not None), torch.zeros_like(offset))
        # the mean of two lines is rounded where it is made, so it has twice the error of one line; it is hardly steeper
        mean, reach = CurveLines(2 * slope, None, 2 * offset, missed), (1 + MEAN * unit(slope.dtype)) * slope
        owed = mean.with_rounding(values.errors, node, owed=2 * missed, reach=reach)
        return cls(sides[0], sides[1], sides[2], owed.owed, owed.execution)

    def select(self, index: Tensor) -> "LineRange":
        """The lines for the chosen examples, without rounding errors."""
        above, first, last = ((slope[index], offset[index]) for slope, offset in (self.above, self.first, self.last))
        return LineRange(above, first, last, None, None)

    def detached(self) -> "LineRange":
        """The lines without gradients and rounding errors."""
        above, first, last = (
            (slope.detach(), offset.detach()) for slope, offset in (self.above, self.first, self.last)
        )
        return LineRange(above, first, last, None, None)


@attrs.define(eq=False)
class OptimisedLines:
    """The lines of a curve in a pass: their range, and the shares of the last line below (B, K, ...) in the form of the rows.

    The shares begin at one half. The lines at the entries of the rows are computed once.
    """

    fan: LineRange
    share: Tensor | None = None
    # a pass doubles rows at lines that are not parallel; these lines are for one side
    turn: Tensor | None = None
    _seen: list[Side] = attrs.field(factory=list)

    def select(self, index: Tensor) -> "OptimisedLines":
        """The lines for the chosen examples."""
        return OptimisedLines(self.fan.select(index), None if self.share is None else self.share[index])

    def relaxed_rows(self, function: DenseRows | WindowRows) -> RelaxedRows:
        """The rows on the curve's input that stand for rows on the curve."""
        rows = entries(function)
        if self.share is None:
            self.share = torch.full_like(rows, 0.5)
        above, first, change = self._lines(function)
        positive, negative = rows.clamp(min=0), rows.clamp(max=0)
        slope, offset = first[0] + self.share * change[0], first[1] + self.share * change[1]
        below = positive * slope + negative * above[0]
        constant = positive * offset + negative * above[1]
        return chosen_rows(function, below, constant, self.fan.owed, self.fan.execution)

    def _lines(self, function: DenseRows | WindowRows) -> list[Side]:
        """The line above, the first line below, and the last line below minus the first, at the entries of the rows."""
        if not self._seen:
            fan = self.fan
            change = (fan.last[0] - fan.first[0], fan.last[1] - fan.first[1])
            for slope, offset in (fan.above, fan.first, change):
                self._seen.append((_as_seen(function, slope), _as_seen(function, offset)))
        return self._seen


def _as_seen(function: DenseRows | WindowRows, values: Tensor) -> Tensor:
    return function.seen(values) if isinstance(function, WindowRows) else values[:, None]
