"""Lower bounds of clauses over domains, with the lines, multipliers and weights that an ascent finds.

    maximise over s ∈ [0, 1], b, w ≥ 0    the bound of one backward pass.

Every choice is sound, so that the ascent needs no proof. The last pass counts rounding. Source: wang2021.
"""

from functools import cached_property

import attrs
from torch import Tensor

from inradius_bounds.backward.pass_ends import ClosedRows
from inradius_bounds.search.clauses import Clauses
from inradius_bounds.search.domain_lines import DomainLines, entry_rows
from inradius_bounds.search.domains import Domains
from inradius_bounds.search.split_layout import SplitLayout
from inradius_bounds.search.split_problem import SplitProblem


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


@attrs.define(eq=False, slots=False)
class DomainBounds:
    """The bounds of D domains."""

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
    def counted(self) -> DomainLines:
        """The lines over the domains, with rounding errors."""
        return DomainLines.of(self.problem.root, self.layout, self.domains)

    @cached_property
    def rough(self) -> DomainLines:
        """The lines over the domains, without rounding errors, in the type in which ascents run."""
        return DomainLines.of(self.problem.rough, self.problem.rough_layout, self.domains)

    def select(self, index: Tensor) -> "DomainBounds":
        """The bounds of the chosen domains."""
        found = DomainBounds(self.problem, self.domains.select(index))
        found.rough = self.rough.select(index)
        return found

    def choosing(self, domains: Domains) -> "DomainBounds":
        """The bounds of domains with the same limits, and other shares, multipliers and weights."""
        found = DomainBounds(self.problem, domains)
        found.rough = self.rough
        return found

    def quick(self, domains: Domains | None = None) -> DomainPass:
        """The bounds with the lines, multipliers and weights of ``domains``, by default the own ones. Rounding is not counted.

        ``domains`` have the same limits.
        """
        return self._passed(self.rough, domains or self.domains)

    def proved(self, domains: Domains | None = None) -> DomainPass:
        """The bounds of ``quick``, with their rounding errors."""
        return self._passed(self.counted, domains or self.domains)

    def ascent(self, share: Tensor, multiplier: Tensor, weights: Tensor) -> Tensor:
        """The bounds (D,) with other shares, multipliers and weights, differentiable in these. Rounding is not counted."""
        found = self.rough.run(self.clauses, self.domains.clause, share, multiplier, weights)
        return found.closed.value[:, 0]

    def _passed(self, lines: DomainLines, domains: Domains) -> DomainPass:
        like = lines.values.x
        chosen = (each.to(like) for each in (domains.share, domains.multiplier, domains.weights))
        found = lines.run(self.clauses, domains.clause, *chosen)
        return DomainPass(found.closed, lines.met(found), entry_rows(found.ended)[:, 0])
