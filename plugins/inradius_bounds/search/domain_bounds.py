"""Lower bounds of clauses over domains, with the lines, multipliers and weights that an ascent finds.

    maximise over s ∈ [0, 1], b, w ≥ 0    the bound of one backward pass.

Every choice is sound, so that the ascent needs no proof. The last pass counts rounding. Source: wang2021.
"""

from functools import cached_property

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.backward_pass import BackwardPass
from inradius_bounds.backward.optimised_lines import LineRange
from inradius_bounds.backward.pass_ends import ClosedRows, lower
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
from inradius_bounds.search.split_lines import SplitLines


@attrs.frozen(eq=False)
class DomainPass:
    """A finished pass over D domains: the bounds (D, 1), the rows on each curve (D, N), and those on the input (D, *S)."""

    closed: ClosedRows
    met: Tensor
    entry: Tensor


@attrs.frozen(eq=False, slots=False)
class SplitProblem:
    """The question about one example: the bounds of its network's values with the boxes of all curves' inputs, and the clauses."""

    root: ValueBounds
    clauses: Clauses

    @cached_property
    def layout(self) -> SplitLayout:
        """The places of the numbers at which domains are split."""
        return SplitLayout(self.root.network)

    @cached_property
    def limits(self) -> Box:
        """The limits of these numbers over all of Δ(x), two of (1, N)."""
        return self.layout.limits(self.root)

    @property
    def undecided(self) -> int:
        """The count of numbers whose curve is not a line over Δ(x)."""
        return int(self.layout.undecided(*self.limits).sum())

    def whole(self, clause: Tensor) -> Domains:
        """All of Δ(x) as one domain for each of the clauses (D,)."""
        count = len(clause)
        low, high = (side.expand(count, -1) for side in self.limits)
        return Domains(
            clause=clause,
            bound=low.new_full((count,), -torch.inf),
            low=low,
            high=high,
            share=torch.full_like(low, 0.5),
            multiplier=torch.zeros_like(low),
            side=torch.zeros(low.shape, dtype=torch.int8, device=low.device),
            weights=self.clauses.even(clause),
        )


@attrs.define(eq=False, slots=False)
class DomainBounds:
    """The bounds of D domains of one example."""

    problem: SplitProblem
    domains: Domains

    @property
    def layout(self) -> SplitLayout:
        """The places of the numbers at which domains are split."""
        return self.problem.layout

    @property
    def clauses(self) -> Clauses:
        """The clauses of the property."""
        return self.problem.clauses

    @cached_property
    def values(self) -> ValueBounds:
        """The bounds of the network's values over each domain."""
        root = self.problem.root
        found = root.select(torch.zeros(len(self.domains), dtype=torch.int64, device=root.x.device))
        found.boxes.update(self.layout.boxes(self.domains.low, self.domains.high))
        return found

    @cached_property
    def fans(self) -> dict[Node, LineRange]:
        """The lines of each curve over the domains, with rounding errors."""
        return {curve: LineRange.of(self.values, curve) for curve in self.layout.network.curves}

    @cached_property
    def bare_fans(self) -> dict[Node, LineRange]:
        """The lines of each curve over the domains, without rounding errors."""
        return {curve: bare(LineRange.of(self.plain, curve)) for curve in self.layout.network.curves}

    @cached_property
    def plain(self) -> ValueBounds:
        """The bounds of the values without rounding errors."""
        return self.values.plain

    def quick(self, domains: Domains | None = None) -> DomainPass:
        """The bounds with the lines, multipliers and weights of ``domains``, by default the own ones. Rounding is not counted.

        ``domains`` have the same limits.
        """
        return self._run(self.plain, self.bare_fans, domains or self.domains)

    def proved(self, domains: Domains | None = None) -> DomainPass:
        """The bounds of ``quick``, with their rounding errors."""
        return self._run(self.values, self.fans, domains or self.domains)

    def ascent(self, share: Tensor, multiplier: Tensor, weights: Tensor) -> Tensor:
        """The bounds (D,) with other shares, multipliers and weights, differentiable in these."""
        other = attrs.evolve(self.domains, share=share, multiplier=multiplier, weights=weights)
        return self._run(self.plain, self.bare_fans, other).closed.value[:, 0]

    def _run(self, values: ValueBounds, fans: dict[Node, LineRange], domains: Domains) -> DomainPass:
        network, result = values.network, values.network.result
        lines = self.lines(values, fans, domains)
        rows, offsets = self.clauses.weights[domains.clause], self.clauses.offsets[domains.clause]
        means = MeanRows(rows[:, None], offsets[:, None], domains.weights[:, None])
        start: dict[Node, LinearFunctions] = {result: DenseRows(means.on_outputs.view(-1, 1, *result.stored))}
        known = {**lines, **planes_of(values, network.products)}
        ended = BackwardPass(values, known, start, means.constants).run(result)
        closed, zero = means.rounded(values, lower(ended)), values.x.new_zeros(len(rows), 1)
        met = {
            curve: found.met if found.met is not None else zero.expand(-1, curve.stored.numel()).view(-1, *curve.stored)
            for curve, found in lines.items()
        }
        return DomainPass(closed, self.layout.joined(met, values.x), on_entry(ended))

    def lines(self, values: ValueBounds, fans: dict[Node, LineRange], domains: Domains) -> dict[Node, SplitLines]:
        """The lines of all curves with the shares and multipliers of the domains."""
        part = self.layout.part
        return {
            curve: SplitLines.of(
                values, curve, fan, part(curve, domains.share)[:, None], part(curve, domains.multiplier)
            )
            for curve, fan in fans.items()
        }


def bare(fan: LineRange) -> LineRange:
    """The lines without gradients and rounding errors."""
    above, first, last = ((side[0].detach(), side[1].detach()) for side in (fan.above, fan.first, fan.last))
    return LineRange(above, first, last, None, None)


def on_entry(ended: BackwardPass) -> Tensor:
    """The rows of a finished pass of one row for each domain on the network's input, (D, *S)."""
    return on_entry_rows(ended)[:, 0]


def on_entry_rows(ended: BackwardPass) -> Tensor:
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
