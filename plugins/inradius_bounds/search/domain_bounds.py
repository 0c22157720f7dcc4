"""Lower bounds of clauses over domains, with the lines, multipliers and weights that an ascent finds.

    maximise over s ∈ [0, 1], b, w ≥ 0    the bound of one backward pass.

Every choice is sound, so that the ascent needs no proof. The last pass counts rounding. Source: wang2021.
"""

from functools import cached_property

import attrs
from torch import Tensor

from inradius_bounds.search.clauses import Clauses
from inradius_bounds.search.domain_lines import DomainLines, DomainPass
from inradius_bounds.search.domains import Domains
from inradius_bounds.search.reduced_lines import ReducedLines
from inradius_bounds.search.split_layout import SplitLayout
from inradius_bounds.search.split_problem import SplitProblem


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
    def rough(self) -> DomainLines | ReducedLines:
        """The lines over the domains, without rounding errors, in the type in which ascents run."""
        reduced = self.problem.reduced
        if reduced is not None:
            return ReducedLines.of(reduced, self.domains)
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
        return self.rough.run(self.clauses, self.domains.clause, share, multiplier, weights).closed().value[:, 0]

    def _passed(self, lines: DomainLines | ReducedLines, domains: Domains) -> DomainPass:
        like = lines.values.x
        chosen = (each.to(like) for each in (domains.share, domains.multiplier, domains.weights))
        return lines.run(self.clauses, domains.clause, *chosen).whole()
