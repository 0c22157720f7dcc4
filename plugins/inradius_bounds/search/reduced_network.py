"""A network over one set as affine functions between the curves that are not lines over it.

    inputs of a curve = rows · (values of earlier curves) + rows · δ + constants.

A network with few such curves is much smaller in this form. It is computed without rounding errors, so nothing rests on it that
is proved.
"""

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.backward_pass import BackwardPass
from inradius_bounds.backward.optimised_lines import LineRange, Side
from inradius_bounds.backward.relaxed_rows import RelaxedRows
from inradius_bounds.backward.rows.addition import LinearFunctions
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.units import UnitRows
from inradius_bounds.backward.rows.windows import WindowRows
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.search.few_numbers import FewNumbers
from inradius_bounds.search.split_layout import SplitLayout

# the rows that are pulled to the input at once
_ROWS = 128


@attrs.frozen(eq=False)
class AffineRows:
    """R affine functions: of what is made of δ where passes end, entry (R, m), and of curves, curves (R, N); constant (R,).

    The functions and the curves' values count from their references.
    """

    entry: Tensor
    curves: Tensor
    constant: Tensor


@attrs.frozen(eq=False)
class ReducedNetwork:
    """The network over the one set of ``values``: the inputs of the curves with places in a layout, and the results.

    later: for each curve the rows of its inputs on the curves before it that are not 0, as (curve, rows (n, n′)). ahead: the rows
    of each curve's inputs where passes end, (n, m).
    """

    values: ValueBounds
    layout: SplitLayout
    inputs: AffineRows
    results: AffineRows
    later: Mapping[Node, list[tuple[Node, Tensor]]]
    ahead: Mapping[Node, FewNumbers]

    @classmethod
    def of(cls, values: ValueBounds, layout: SplitLayout) -> "ReducedNetwork":
        """The reduced form of a network without products, from bounds without rounding errors."""
        lines = {curve: _Ending.of(values, layout, curve) for curve in layout.places}
        spans, places = layout.spans, layout.places
        own = [_input(values, layout, lines, curve) for curve in places if len(places[curve])]
        result = layout.network.result
        every = torch.arange(result.stored.numel(), device=values.x.device)
        results = _pulled(values, layout, lines, result, every)
        inputs = _joined(own, results)
        later: dict[Node, list[tuple[Node, Tensor]]] = {}
        for curve, span in spans.items():
            parts = [(each, inputs.curves[span, spans[each]]) for each in places if spans[each].stop <= span.start]
            later[curve] = [(each, rows.contiguous()) for each, rows in parts if bool(rows.any())]
        ahead = {curve: FewNumbers.of(inputs.entry[span]) for curve, span in spans.items()}
        return cls(values, layout, inputs, results, later, ahead)

    def at_end(self, curve: Node, rows: Tensor) -> Tensor:
        """Rows on a curve's inputs as rows where passes end, (D, n) -> (D, m)."""
        return self.ahead[curve].behind(rows)


@attrs.define(eq=False)
class _Ending:
    """The lines of a curve in passes that end at its own numbers, and are exact at the others. met (1, K, n): the rows there."""

    layout: SplitLayout
    node: Node
    line: Side
    met: Tensor | None = None
    turn: Tensor | None = None

    @classmethod
    def of(cls, values: ValueBounds, layout: SplitLayout, curve: Node) -> "_Ending":
        slope, offset = LineRange.of(values, curve).detached().first
        kept = torch.ones_like(slope).flatten(1)
        kept[:, layout.places[curve]] = 0
        kept = kept.view_as(slope)
        # 0 times an infinite number is not 0
        return cls(layout, curve, (torch.where(kept > 0, slope, 0.0), torch.where(kept > 0, offset, 0.0)))

    def relaxed_rows(self, function: DenseRows | WindowRows) -> RelaxedRows:
        """The rows on the curve's input at the numbers where the curve is a line."""
        rows = function.dense(self.node.stored).rows
        self.met = rows.flatten(2)[:, :, self.layout.places[self.node]]
        slope, offset = (side[:, None] for side in self.line)
        return RelaxedRows(DenseRows(rows * slope), (rows * offset).flatten(2).sum(2), None)


def _input(values: ValueBounds, layout: SplitLayout, lines: Mapping[Node, _Ending], curve: Node) -> AffineRows:
    """A curve's own inputs, minus their references."""
    assert values.about is not None, "rows count from references"
    source, places = curve.sources[0], layout.places[curve]
    found = _pulled(values, layout, lines, source, places)
    reference = values.about.value(source).flatten(1)[0, places]
    return attrs.evolve(found, constant=(found.constant.double() - reference).to(found.constant))


def _pulled(
    values: ValueBounds, layout: SplitLayout, lines: Mapping[Node, _Ending], node: Node, index: Tensor
) -> AffineRows:
    """The numbers of a node at flat places (n,)."""
    return _joined([_part(values, layout, lines, node, part) for part in torch.split(index, _ROWS)], None)


@torch.no_grad()
def _part(
    values: ValueBounds, layout: SplitLayout, lines: Mapping[Node, _Ending], node: Node, index: Tensor
) -> AffineRows:
    for each in lines.values():
        each.met = None
    zero = values.x.new_zeros(1, len(index))
    start: dict[Node, LinearFunctions] = {node: UnitRows(index[None], None, zero.dtype)}
    known: dict[Node, Any] = dict(lines)
    ended = BackwardPass(values, known, start, zero).run(node)
    met = [
        zero.new_zeros(len(index), len(places)) if each.met is None else each.met[0]
        for each, places in zip(lines.values(), layout.places.values(), strict=True)
    ]
    size = values.end.stored.numel()
    found = ended.pending.get(values.end)
    entry = zero.new_zeros(len(index), size) if found is None else found.dense(values.end.stored).rows[0].flatten(1)
    constant = ended.constant[0]
    return AffineRows(entry, torch.cat([zero.new_zeros(len(index), 0), *met], dim=1), constant)


def _joined(parts: list[AffineRows], empty: AffineRows | None) -> AffineRows:
    if not parts:
        assert empty is not None
        return AffineRows(empty.entry[:0], empty.curves[:0], empty.constant[:0])
    return AffineRows(
        torch.cat([part.entry for part in parts]),
        torch.cat([part.curves for part in parts]),
        torch.cat([part.constant for part in parts]),
    )
