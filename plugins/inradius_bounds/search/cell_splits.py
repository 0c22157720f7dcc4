"""Splits at neurons inside cells of inputs, for many cells at once.

A small cell leaves few neurons undecided, and a few splits with multipliers prove it where halves along the inputs would have to
be many. Cells that need more are given up, and are halved.
"""

import attrs
import torch
from torch import Tensor

from inradius_bounds.search.branching import chosen
from inradius_bounds.search.domain_bounds import DomainBounds
from inradius_bounds.search.domain_lines import DomainPass
from inradius_bounds.search.domains import Domains
from inradius_bounds.search.multiplier_ascent import raised
from inradius_bounds.search.split_problem import SplitProblem

# the rounds of splits, and the most open domains of a cell
_ROUNDS, _DOMAINS = 3, 8


@attrs.define(eq=False)
class CellSplits:
    """The search over P cells, which are the sets of ``problem``.

    steps, goal: of the ascents. open (P,): True for cells that are not proved. real (P,): True for cells that are proved at level
    "real" only. rows (P, *S): the sizes of the rows on the input in the passes over whole cells, added up. points: inputs at which
    bounds of open domains are lowest, as their cells' numbers (D,) and rows on the input (D, *S). visited: the count of domains
    that were bounded.
    """

    problem: SplitProblem
    steps: int
    goal: float
    open: Tensor
    real: Tensor
    rows: Tensor
    points: list[tuple[Tensor, Tensor]] = attrs.field(factory=list)
    visited: int = 0

    @classmethod
    def of(cls, problem: SplitProblem, steps: int, goal: float) -> "CellSplits":
        """The search before its first step."""
        x = problem.root.x
        every = torch.ones(len(x), dtype=torch.bool, device=x.device)
        return cls(problem, steps, goal, every, ~every, torch.zeros_like(x))

    def run(self, domains: Domains) -> None:
        """Searches whole cells, one domain for each clause that is open in it."""
        left, passed = self._bounded(domains)
        self.rows.index_add_(0, left.part, passed.entry.abs().to(self.rows))
        given = torch.zeros_like(self.open)
        for _ in range(_ROUNDS):
            given |= torch.bincount(left.part, minlength=len(self.open)) > _DOMAINS
            left = self._split(left.select(~given[left.part]), given)
            if not len(left):
                break
            left, _ = self._bounded(left)
        self.open = given
        self.open[left.part] = True
        self.real &= ~self.open

    def _bounded(self, domains: Domains) -> tuple[Domains, DomainPass]:
        """The domains that are not proved, with what ascents found, and their passes."""
        bounds = DomainBounds(self.problem, domains)
        best = raised(bounds, self.steps, self.goal)
        passed = bounds.quick(best)
        number, point = chosen(bounds.choosing(best), passed.met)
        proved = torch.zeros_like(number, dtype=torch.bool)
        asked = (best.rank > 0).nonzero()[:, 0]
        if len(asked):
            closed = DomainBounds(self.problem, best.select(asked)).proved().closed
            proved[asked] = closed.proved_real[:, 0] > 0
            self.real[domains.part[asked[proved[asked] & ~(closed.proved[:, 0] > 0)]]] = True
        self.visited += len(domains)
        left = (~proved).nonzero()[:, 0]
        self.points.append((domains.part[left], passed.entry[left]))
        return attrs.evolve(best, number=number, point=point).select(left), passed.select(left)

    def _split(self, domains: Domains, given: Tensor) -> Domains:
        """The halves of the domains. Cells with a domain in which every curve is a line are marked as ``given`` up."""
        given[domains.part[domains.number < 0]] = True
        inner = domains.select(~given[domains.part])
        halves = inner.halves(inner.number, inner.point)
        return halves.select(~(halves.low > halves.high).any(1))
