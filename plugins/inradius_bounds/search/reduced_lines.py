"""Passes over domains of one set, in the reduced form of its network, without rounding errors."""

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.backward_pass import BackwardPass
from inradius_bounds.backward.pass_ends import ClosedRows, lower
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.box import Box
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.search.clauses import Clauses
from inradius_bounds.search.domain_lines import DomainPass, entry_rows
from inradius_bounds.search.domains import Domains
from inradius_bounds.search.number_lines import NumberLines
from inradius_bounds.search.reduced_network import ReducedNetwork


@attrs.frozen(eq=False)
class ReducedLines:
    """The lines of D domains. limits: those of the curves' inputs, minus their references, two of (D, N)."""

    network: ReducedNetwork
    values: ValueBounds
    numbers: NumberLines
    limits: Box

    @classmethod
    def of(cls, network: ReducedNetwork, domains: Domains) -> "ReducedLines":
        """The lines over domains of the network's set."""
        layout, root = network.layout, network.values
        low, high = domains.low, domains.high
        numbers = NumberLines.over(root, layout, low.to(root.x), high.to(root.x))
        limits = (low - numbers.inputs).to(root.x), (high - numbers.inputs).to(root.x)
        return cls(network, root.select(domains.part), numbers, limits)

    def select(self, index: Tensor) -> "ReducedLines":
        """The lines over the chosen domains."""
        limits = self.limits[0][index], self.limits[1][index]
        return ReducedLines(self.network, self.values.select(index), self.numbers.select(index), limits)

    def run(
        self, clauses: Clauses, clause: Tensor, share: Tensor, multiplier: Tensor, weights: Tensor
    ) -> "ReducedPass":
        """The pass for a mean of the rows of each domain's clause (D,), with weights (D, M)."""
        network, like = self.network, self.values.x
        rows, offsets = clauses.weights[clause].to(like), clauses.offsets[clause].to(like)
        mean, results = (weights[:, None] @ rows)[:, 0], network.results
        constant = (weights * offsets).sum(1) + mean @ results.constant
        on_curves, entry = mean @ results.curves, mean @ results.entry
        met, pulled = [], []
        waiting = {curve: on_curves[:, span] for curve, span in network.layout.spans.items()}
        slope, offset = self.numbers.below(share)
        for curve, span in reversed(network.layout.spans.items()):
            on = waiting[curve]
            met.append(on.detach())
            positive, negative = on.clamp(min=0), on.clamp(max=0)
            found = positive * slope[:, span] + negative * self.numbers.above[0][:, span]
            constant = constant + (positive * offset[:, span] + negative * self.numbers.above[1][:, span]).sum(1)
            found = found - multiplier[:, span]
            for earlier, block in network.later[curve]:
                waiting[earlier] = waiting[earlier] + found @ block
            pulled.append(found)
            entry = entry + network.at_end(curve, found)
        zero = on_curves[:, :0]
        inner = torch.cat([zero, *reversed(pulled)], dim=1)
        constant = constant + inner @ network.inputs.constant + self._of_limits(multiplier)
        return ReducedPass(self.values, constant, entry, torch.cat([zero, *reversed(met)], dim=1))

    def _of_limits(self, multiplier: Tensor) -> Tensor:
        """The sum that the multipliers of the limits add to each bound, (D,)."""
        limit = torch.where(multiplier > 0, *self.limits)
        # the limit of a number without a multiplier may be infinite
        return torch.where(multiplier == 0, 0.0, multiplier * limit).sum(1)


@attrs.frozen(eq=False)
class ReducedPass:
    """A pass that has arrived where passes end: constants (D,), rows there (D, m), and the rows that met curves, met (D, N)."""

    values: ValueBounds
    constant: Tensor
    rows: Tensor
    met: Tensor

    @property
    def _ended(self) -> BackwardPass:
        end = self.values.end
        rows = DenseRows(self.rows.view(len(self.rows), 1, *end.stored))
        return BackwardPass(self.values, {}, {end: rows}, self.constant[:, None])

    def closed(self) -> ClosedRows:
        """The bounds, (D, 1)."""
        return lower(self._ended)

    def whole(self) -> DomainPass:
        """The bounds with all rows."""
        ended = self._ended
        return DomainPass(lower(ended), self.met, entry_rows(ended)[:, 0])
