"""The lines and planes of a network over domains, from which backward passes of one row for each domain are made."""

from collections.abc import Mapping
from typing import Any

import attrs
from torch import Tensor

from inradius_bounds.backward.backward_pass import BackwardPass
from inradius_bounds.backward.optimised_lines import LineRange
from inradius_bounds.backward.pass_ends import ClosedRows, lower
from inradius_bounds.backward.planes import Planes
from inradius_bounds.backward.product_planes import planes_of
from inradius_bounds.backward.rows.addition import LinearFunctions
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.box import Box
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.search.clauses import Clauses
from inradius_bounds.search.domains import Domains
from inradius_bounds.search.mean_rows import MeanRows
from inradius_bounds.search.split_layout import SplitLayout
from inradius_bounds.search.split_lines import SplitLines, limits_of


@attrs.frozen(eq=False)
class FinishedPass:
    """A finished pass over D domains: the bounds (D, 1), the lines of each curve in it, and the pass where it ended."""

    closed: ClosedRows
    lines: dict[Node, SplitLines]
    ended: BackwardPass


@attrs.frozen(eq=False)
class DomainLines:
    """The lines of all curves over D domains, with the limits of the curves' inputs (see ``SplitLines``), and the planes."""

    values: ValueBounds
    layout: SplitLayout
    fans: dict[Node, LineRange]
    limits: dict[Node, Box]
    planes: Mapping[Node, Planes]

    @classmethod
    def of(cls, root: ValueBounds, layout: SplitLayout, domains: Domains) -> "DomainLines":
        """The lines over domains of some of the sets that ``root`` is about, in its type and with its rounding errors."""
        values = root.select(domains.part)
        values.boxes.update(layout.boxes(domains.low.to(root.x), domains.high.to(root.x)))
        curves = layout.network.curves
        fans = {curve: LineRange.of(values, curve) for curve in curves}
        if values.errors is None:
            fans = {curve: fan.detached() for curve, fan in fans.items()}
        limits = {curve: limits_of(values, curve) for curve in curves}
        if values.errors is None:
            limits = {curve: (low.to(root.x), high.to(root.x)) for curve, (low, high) in limits.items()}
        return cls(values, layout, fans, limits, planes_of(values, layout.network.products))

    def select(self, index: Tensor) -> "DomainLines":
        """The lines over the chosen domains. The bounds are without rounding errors."""
        values = self.values.select(index)
        fans = {curve: fan.select(index) for curve, fan in self.fans.items()}
        limits = {curve: (low[index], high[index]) for curve, (low, high) in self.limits.items()}
        return DomainLines(values, self.layout, fans, limits, planes_of(values, self.layout.network.products))

    def split_lines(self, share: Tensor, multiplier: Tensor) -> dict[Node, SplitLines]:
        """The lines of each curve with shares and multipliers, (D, N) each."""
        part = self.layout.part
        return {
            curve: SplitLines.of(
                self.values, curve, fan, self.limits[curve], part(curve, share)[:, None], part(curve, multiplier)
            )
            for curve, fan in self.fans.items()
        }

    def run(self, clauses: Clauses, clause: Tensor, share: Tensor, multiplier: Tensor, weights: Tensor) -> FinishedPass:
        """The pass for a mean of the rows of each domain's clause (D,), with weights (D, M)."""
        values, result, like = self.values, self.layout.network.result, self.values.x
        rows, offsets = clauses.weights[clause].to(like), clauses.offsets[clause].to(like)
        means = MeanRows(rows[:, None], offsets[:, None], weights[:, None])
        start: dict[Node, LinearFunctions] = {result: DenseRows(means.on_outputs.view(-1, 1, *result.stored))}
        lines = self.split_lines(share, multiplier)
        known: dict[Node, Any] = {**lines, **self.planes}
        ended = BackwardPass(values, known, start, means.constants).run(result)
        return FinishedPass(means.rounded(values, lower(ended)), lines, ended)

    def met(self, found: FinishedPass) -> Tensor:
        """The rows on each curve in a pass, (D, N)."""
        zero = found.closed.value.new_zeros(len(found.closed.value), 1)
        met = {
            curve: lines.met if lines.met is not None else zero.expand(-1, curve.stored.numel()).view(-1, *curve.stored)
            for curve, lines in found.lines.items()
        }
        return self.layout.joined(met, self.values.x)


def entry_rows(ended: BackwardPass) -> Tensor:
    """The rows of a finished pass on the network's input, (D, K, *S)."""
    values = ended.values
    network, node = values.network, values.end
    found = ended.pending.get(node)
    if found is None:
        return values.x.new_zeros(*ended.constant.shape, *values.x.shape[1:])
    while node is not network.entry:
        ((source, found),) = found.through(node)
        node = source
    return found.dense(network.entry.stored).rows.detach()
