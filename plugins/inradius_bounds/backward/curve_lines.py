"""The lines that stand for a curve, such as a ReLU, in a backward pass, with the rounding errors of rows there."""

from collections.abc import Iterable

import attrs
import torch
from torch import Tensor

from inradius import Relaxation
from inradius_bounds.backward.relaxed_rows import RelaxedRows
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.dot import dot, dot_terms
from inradius_bounds.backward.rows.windows import WindowRows, total
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.rounding_errors import RoundingErrors
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rounding import ROOM, tiny, unit


@attrs.frozen(eq=False)
class CurveLines:
    """Lines (slope ∓ turn) · z + offset ∓ band below and above a curve of z, (B, *shape) each.

    turn: None where the two lines are parallel. offset: counted from the references of values (see ``moved``). owed: the
    rounding error of the computation of bounds, for each unit of a row on the curve. execution: the rounding error of the
    model's execution, for each unit.
    """

    slope: Tensor
    turn: Tensor | None
    offset: Tensor
    band: Tensor
    owed: Tensor | None = None
    execution: Tensor | None = None
    # true where the errors include those of the rows on the extreme that is made of the curve (see ``paying_for``)
    pays: bool = False

    @classmethod
    def of(cls, values: ValueBounds, node: Node, relaxed: Relaxation) -> "CurveLines":
        """The lines of a curve with this relaxation."""
        low, missed = moved(values, node, relaxed.lower_slope, relaxed.lower_offset)
        high, more = moved(values, node, relaxed.upper_slope, relaxed.upper_offset)
        slope, turn = relaxed.lower_slope, None
        if not relaxed.parallel:
            slope, turn = (slope + relaxed.upper_slope) / 2, (relaxed.upper_slope - slope) / 2
        band = (high - low) / 2
        if missed is not None and more is not None:
            band = band + missed + more
        found = cls(slope, turn, ((low + high) / 2).to(slope.dtype), band.to(slope.dtype))
        if values.errors is None:
            return found
        found, extreme = found.with_rounding(values.errors, node), extreme_of(values, node)
        return found if extreme is None else found.paying_for(values.errors, extreme)

    def with_rounding(
        self, errors: RoundingErrors, node: Node, *, owed: Tensor | float = 0.0, reach: Tensor | None = None
    ) -> "CurveLines":
        """The lines with the rounding errors of rows on the curve, in addition to the errors ``owed``.

        reach: the most by which the lines multiply the size of a row, (B, *shape), where slopes are larger than that to count more
        roundings of their own.
        """
        source = node.sources[0]
        steep = self.slope.abs() if self.turn is None else self.slope.abs() + self.turn.abs()
        u = ROOM * unit(self.slope.dtype)
        terms = dot_terms(node.stored) + 4
        far, handed, own = errors.deviations.deviation(source), errors.rows.handed(source), errors.rows.own(node)
        rounds = (3 if self.turn is None else 8) + 2 * errors.rows.adds(node)
        # products with slopes, offsets and bands may underflow
        owed = torch.add(owed + own[0], 1 + far, alpha=4 * tiny(self.slope.dtype))
        owed = torch.addcmul(owed, steep, far, value=rounds * u)
        owed = torch.add(owed, self.offset.abs() + self.band.abs(), alpha=terms * u)
        execution = own[1]
        if handed is not None:
            reach = steep if reach is None else reach
            owed = owed + reach * handed[0]
            execution = execution if handed[1] is None or execution is None else execution + reach * handed[1]
        execution = None if execution is None else ROOM * execution
        return attrs.evolve(self, owed=ROOM * owed, execution=execution, pays=False)

    def paying_for(self, errors: RoundingErrors, extreme: Node) -> "CurveLines":
        """The lines with the rounding errors of the rows on b + relu(a − b), which are the rows on the curve up to their sign."""
        debt = errors.rows.owed(extreme)
        if debt is None or self.owed is None:
            return self
        execution = self.execution
        if execution is not None and debt[1] is not None:
            execution = execution + ROOM * debt[1]
        return attrs.evolve(self, owed=self.owed + ROOM * debt[0], execution=execution, pays=True)

    @property
    def folded(self) -> "CurveLines":
        """The lines moved apart by all rounding errors of rows on the curve; ``owed`` and ``execution`` are None."""
        return attrs.evolve(self, band=widened(self.band, (self.owed, self.execution)), owed=None, execution=None)

    def relaxed_rows(self, function: DenseRows | WindowRows) -> RelaxedRows:
        """The rows on the curve's input that stand for rows on the curve."""
        return _windows(function, self) if isinstance(function, WindowRows) else _dense(function, self)


def references(values: ValueBounds, node: Node) -> tuple[Tensor, Tensor]:
    """The references of a node's source and of the node; without references the constant that the source passes on, and 0.

    Two of (B, *shape), for a node whose source has its shape.
    """
    source = node.sources[0]
    if values.about is not None:
        return values.about.value(source), values.about.value(node)
    constant, zero = values.handed(source), torch.zeros_like(values.box(source)[0])
    return zero if constant is None else constant.expand_as(zero), zero


def widened(band: Tensor, errors: Iterable[Tensor | None]) -> Tensor:
    """The half distance of two lines or planes plus rounding errors, None for an error that is not counted, (B, *shape)."""
    return sum((part for part in errors if part is not None), band)


def extreme_of(values: ValueBounds, node: Node) -> Node | None:
    """The larger or smaller of two values that a curve alone makes of them; None for others, and where values have constants."""
    uses = values.network.uses[node]
    if values.about is None or len(uses) != 1 or uses[0].extreme is None or uses[0] is values.network.result:
        return None
    return uses[0] if uses[0].sources[1] is node else None


def moved(values: ValueBounds, node: Node, slope: Tensor, offset: Tensor) -> tuple[Tensor, Tensor | None]:
    """The offset of a line between values minus their references, (B, *shape), and an error bound (None without references).

    With the references c and c′ of the curve's input and of the curve, the offset is slope · c + offset − c′. Without
    references it is slope · c + offset, with c the constant that the input passes to its successors.
    """
    if values.about is None:
        constant = values.handed(node.sources[0])
        return offset if constant is None else offset + slope * constant, None
    before, behind = values.about.value(node.sources[0]), values.about.value(node)
    rise = slope * before
    found = rise + offset - behind
    return found, 4 * unit(found.dtype) * (rise.abs() + offset.abs() + behind.abs())


def _dense(function: DenseRows, lines: "CurveLines") -> RelaxedRows:
    rows = function.rows
    size = rows.abs()
    below = rows * lines.slope[:, None]
    if lines.turn is not None:
        below = torch.addcmul(below, size, lines.turn[:, None], value=-1)
    owed, execution = (
        None if part is None else dot(size, part.expand_as(lines.band)) for part in (lines.owed, lines.execution)
    )
    constant, radius = dot(rows, lines.offset), dot(size, lines.band)
    if lines.turn is None:
        return RelaxedRows(DenseRows(below), constant, radius, owed, execution)
    return RelaxedRows(DenseRows(below), constant - radius, None, owed, execution)


def _windows(function: WindowRows, lines: "CurveLines") -> RelaxedRows:
    rows = function.families
    size = rows.abs()
    slope, offset, band = function.seen_together([lines.slope, lines.offset, lines.band])
    below, offset = rows * slope, rows * offset
    radius = None
    if lines.turn is None:
        radius = total(size * band)
    else:
        # in place, as rows are large
        below.addcmul_(size, function.seen(lines.turn), value=-1)
        offset.addcmul_(size, band, value=-1)
    owed, execution = (
        None if part is None else total(size * function.seen(part.expand_as(lines.band)))
        for part in (lines.owed, lines.execution)
    )
    pulled = attrs.evolve(function, rows=below.flatten(1, 2), clean=True)
    return RelaxedRows(pulled, total(offset), radius, owed, execution)
