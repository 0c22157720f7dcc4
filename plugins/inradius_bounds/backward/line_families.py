"""Lines of several relaxations of a curve, for one pass with a family of rows for each of them."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from inradius import Relaxation
from inradius_bounds.backward.curve_lines import CurveLines
from inradius_bounds.backward.relaxed_rows import RelaxedRows
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.windows import WindowRows
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.value_bounds import ValueBounds


@attrs.frozen(eq=False)
class LineFamilies:
    """Lines for rows (B, s · K, *shape) of s families, one behind the other.

    ``lines`` takes the families as examples, (B · s, *shape).
    """

    lines: CurveLines
    count: int

    @classmethod
    def of(cls, values: ValueBounds, node: Node, relaxed: Sequence[Relaxation]) -> "LineFamilies":
        """The lines of a curve, with the rounding errors of rows on it."""
        found = CurveLines.of(values, node, _stacked(relaxed))
        shape = found.band.shape

        def side(part: Tensor) -> Tensor:
            return part.expand(shape).transpose(0, 1).flatten(0, 1)

        def some(part: Tensor | None) -> Tensor | None:
            return None if part is None else side(part)

        slope, offset, band = side(found.slope), side(found.offset), side(found.band)
        owed, execution = some(found.owed), some(found.execution)
        return cls(CurveLines(slope, some(found.turn), offset, band, owed, execution, found.pays), len(relaxed))

    @property
    def turn(self) -> Tensor | None:
        """None where all lines are parallel."""
        return self.lines.turn

    @property
    def pays(self) -> bool:
        """True where the errors include those of the rows on the extreme that is made of the curve (see ``CurveLines``)."""
        return self.lines.pays

    def relaxed_rows(self, function: DenseRows | WindowRows) -> RelaxedRows:
        """The rows on the curve's input that stand for rows on the curve."""
        rows = function.dense(self.lines.band.shape[1:]).rows
        found = self.lines.relaxed_rows(DenseRows(rows.reshape(len(rows) * self.count, -1, *rows.shape[2:])))

        def side(part: Tensor | None) -> Tensor | None:
            return None if part is None else part.reshape(rows.shape[:2])

        below = DenseRows(found.function.dense(rows.shape[2:]).rows.reshape(rows.shape))
        constant = found.constant.reshape(rows.shape[:2])
        return RelaxedRows(below, constant, side(found.radius), side(found.owed), side(found.execution))


def _stacked(relaxed: Sequence[Relaxation]) -> Relaxation:
    """Several relaxations as one whose tensors have an axis for them in front."""
    return Relaxation(
        lower_slope=torch.stack([each.lower_slope for each in relaxed]),
        lower_offset=torch.stack([each.lower_offset for each in relaxed]),
        upper_slope=torch.stack([each.upper_slope for each in relaxed]),
        upper_offset=torch.stack([each.upper_offset for each in relaxed]),
    )
