"""The lines and planes of a network over domains, from which backward passes of one row for each domain are made."""

from collections.abc import Mapping
from functools import cached_property
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
from inradius_bounds.search.number_lines import NumberLines
from inradius_bounds.search.split_layout import SplitLayout
from inradius_bounds.search.split_lines import SplitLines, limits_of


@attrs.frozen(eq=False)
class DomainPass:
    """A finished pass over D domains: the bounds (D, 1), the rows on each curve (D, N), and those on the input (D, *S)."""

    closed: ClosedRows
    met: Tensor
    entry: Tensor

    def select(self, index: Tensor) -> "DomainPass":
        """The pass over the chosen domains."""
        closed = self.closed.combined(self.closed, lambda mine, _: mine[index])
        return DomainPass(closed, self.met[index], self.entry[index])


@attrs.frozen(eq=False)
class FinishedPass:
    """A pass over D domains that has arrived where passes end, the lines of each curve in it, and the means on the results."""

    ended: BackwardPass
    lines: dict[Node, SplitLines]
    means: MeanRows
    layout: SplitLayout

    def closed(self) -> ClosedRows:
        """The bounds, (D, 1)."""
        return self.means.rounded(self.ended.values, lower(self.ended))

    def whole(self) -> DomainPass:
        """The bounds with all rows."""
        x = self.ended.values.x
        zero = x.new_zeros(len(x), 1)
        met = {
            curve: lines.met if lines.met is not None else zero.expand(-1, curve.stored.numel()).view(-1, *curve.stored)
            for curve, lines in self.lines.items()
        }
        return DomainPass(self.closed(), self.layout.joined(met, x), entry_rows(self.ended)[:, 0])


@attrs.frozen(eq=False, slots=False)
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
        values = _subsets(root, domains.part)
        values.boxes.update(layout.boxes(values, domains.low.to(root.x), domains.high.to(root.x)))
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
        spread = self.layout.spread
        return {
            curve: SplitLines.of(
                self.values, curve, fan, self.limits[curve], spread(curve, share)[:, None], spread(curve, multiplier)
            )
            for curve, fan in self.fans.items()
        }

    @cached_property
    def numbers(self) -> NumberLines:
        """The lines at the numbers of the layout."""
        return NumberLines.picked(self.values, self.layout, self.fans)

    def run(self, clauses: Clauses, clause: Tensor, share: Tensor, multiplier: Tensor, weights: Tensor) -> FinishedPass:
        """The pass for a mean of the rows of each domain's clause (D,), with weights (D, M)."""
        values, result, like = self.values, self.layout.network.result, self.values.x
        rows, offsets = clauses.weights[clause].to(like), clauses.offsets[clause].to(like)
        means = MeanRows(rows[:, None], offsets[:, None], weights[:, None])
        start: dict[Node, LinearFunctions] = {result: DenseRows(means.on_outputs.view(-1, 1, *result.stored))}
        lines = self.split_lines(share, multiplier)
        known: dict[Node, Any] = {**lines, **self.planes}
        ended = BackwardPass(values, known, start, means.constants).run(result)
        return FinishedPass(ended, lines, means, self.layout)


def _subsets(root: ValueBounds, part: Tensor) -> ValueBounds:
    """The bounds for subsets of the sets with numbers (D,); over these, rounding errors are no larger than over the sets."""
    found = root.select(part)
    if len(root.x) == 1:
        # computed once, and the same for each subset
        found.errors, found.root = root.errors, root
    return found


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
