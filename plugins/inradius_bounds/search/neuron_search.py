"""Branch and bound over the signs of neurons, for every convex set.

Each domain is bounded with multipliers of its limits. One that is not proved is split in two at an input of a curve. A domain
in which every curve is a line is solved exactly. Source: bunel2020, wang2021.
"""

from functools import cached_property

import attrs
import numpy as np
import torch
from torch import Tensor

from inradius.certifiers.search_progress import tell
from inradius_bounds.search.branching import chosen
from inradius_bounds.search.domain_bounds import DomainBounds
from inradius_bounds.search.domain_queue import DomainQueue
from inradius_bounds.search.domains import Domains
from inradius_bounds.search.kept_search import KeptSearch, outcome_state, queue_states, take_outcome, take_queues
from inradius_bounds.search.leaf import LeafAnswer, solved, solved_in_box
from inradius_bounds.search.leaf_program import AffineDomain
from inradius_bounds.search.leaf_rows import Leaf
from inradius_bounds.search.multiplier_ascent import raised
from inradius_bounds.search.outcome import Outcome
from inradius_bounds.search.search_limit import SearchLimit
from inradius_bounds.search.split_problem import SplitProblem
from inradius_bounds.search.witnesses import WitnessSearch

# the bounds of open domains are proved at every level of this kind
_LEVELS = 4
# domains that may be bounded to prove the strongest claim, in any case
_AGAIN = 64
# a descent for a violation follows the lowest bounds of a batch
_DESCENTS, _DESCENT_STEPS = 4, 5


@attrs.define(eq=False, slots=False)
class NeuronSearch:
    """The search for one example.

    goal: the bound at which an ascent of ``steps`` steps ends. tolerance: a minimum nearer to 0 is not decided. batch: the count of
    domains that are split at once. most: the count of domains beyond which the newest are split first. waiting: the domains
    that are proved at level "real" only. batches: the count of batches with open domains so far.
    """

    problem: SplitProblem
    witnesses: WitnessSearch
    goal: float
    tolerance: float
    batch: int
    steps: int
    most: int
    waiting: DomainQueue = attrs.field(default=attrs.Factory(lambda self: DomainQueue(self.most), takes_self=True))
    batches: int = 0

    def run(self, clauses: Tensor, limit: SearchLimit) -> Outcome:
        """The outcome for the clauses with these numbers (C′,), when all are decided or the limit is reached.

        Domains that are proved at level "real" only wait until all others are proved. Then the search takes up to as many
        domains again to prove them at the level that is asked for.
        """
        found = Outcome.of(len(self.problem.clauses), self.problem.root.x)
        queue = DomainQueue(self.most)
        self._begin(found, queue, clauses)
        limit = limit.beyond(found)

        def state() -> dict[str, Tensor]:
            return outcome_state(found) | queue_states(queue, self.waiting)

        while len(queue) and found.witness is None and not limit.reached(found):
            self._split(found, queue, queue.pop(self.batch))
            tell(found.visited, len(queue))
            self.kept.keep(state)
        self.kept.end(state, decided=not len(queue) and not len(self.waiting))
        if not len(queue) and found.witness is None:
            self._prove_waiting(found, limit)
        return self._ended(found, queue)

    def _begin(self, found: Outcome, queue: DomainQueue, clauses: Tensor) -> None:
        """Takes over where an earlier call ended, or bounds the whole set."""
        state = self.kept.found()
        if state is None:
            self._take(found, queue, self.problem.whole(clauses))
            return
        take_outcome(state, found)
        take_queues(state, (queue, self.waiting), found.lowest)

    @cached_property
    def kept(self) -> KeptSearch:
        """The place of this search among the kept ones."""
        clauses, places = self.problem.clauses, self.problem.layout.places
        numbers = (self.problem.root.x, *self.problem.limits, *places.values())
        return KeptSearch.of("neurons", [*numbers, *attrs.astuple(clauses, recurse=False)])

    def _prove_waiting(self, found: Outcome, limit: SearchLimit) -> None:
        effort = found.visited + max(found.visited, _AGAIN)
        while len(self.waiting) and not limit.reached(found) and found.visited < effort:
            self._split(found, self.waiting, self.waiting.pop(self.batch))
            tell(found.visited, len(self.waiting))
        while len(self.waiting):
            left = self.waiting.pop(len(self.waiting))
            found.close(left.clause, left.real)
            found.real = True

    def _ended(self, found: Outcome, queue: DomainQueue) -> Outcome:
        found.open = torch.full_like(found.open, torch.inf)
        for several in (queue, self.waiting):
            while len(several):
                left = several.pop(len(several))
                found.open = found.open.scatter_reduce(0, left.clause, left.bound.to(found.open), "amin")
        return found

    def _split(self, found: Outcome, queue: DomainQueue, domains: Domains) -> None:
        for leaf in (domains.number < 0).nonzero()[:, 0].tolist():
            self._solve(found, domains.select(torch.tensor([leaf], device=domains.number.device)))
        inner = domains.select((domains.number >= 0).nonzero()[:, 0])
        if found.witness is not None:
            # a witness decides; what is not split any more still counts in the bound
            queue.push(inner)
        elif len(inner):
            self._take(found, queue, self._filled(found, inner.halves(inner.number, inner.point)))

    def _filled(self, found: Outcome, domains: Domains) -> Domains:
        """The domains that are not empty. In an empty one nothing is to be proved."""
        empty = (domains.low > domains.high).any(1)
        found.visited += int(empty.sum())
        return domains.select(~empty)

    def _take(self, found: Outcome, queue: DomainQueue, domains: Domains) -> None:
        """Bounds domains, and queues those that are not proved with the numbers at which they are to be split."""
        if not len(domains):
            return
        bounds = DomainBounds(self.problem, domains)
        best = raised(bounds, self.steps, self.goal, self.witnesses.limit)
        passed = bounds.quick(best)
        number, point = chosen(bounds.choosing(best), passed.met)
        best = attrs.evolve(self._proved(bounds, best), number=number, point=point)
        found.visited += len(domains)
        done = best.bound > 0
        found.close(domains.clause[done], best.bound[done])
        later = ~done & (best.real > 0)
        self.waiting.push(best.select(later))
        left = ~done & ~later
        if bool(left.any()):
            found.refute(self._witness(best.select(left), passed.entry[left]))
            queue.push(best.select(left))

    def _proved(self, bounds: DomainBounds, best: Domains) -> Domains:
        """The domains with bounds less their rounding errors; where none is expected to be above 0, every few levels only."""
        asked = ((best.rank > 0) | (best.depth % _LEVELS == 0)).nonzero()[:, 0]
        if not len(asked):
            return best
        closed = DomainBounds(self.problem, best.select(asked)).proved().closed
        found = (closed.proved[:, 0], closed.proved_real[:, 0])
        bound, real = (
            before.index_put((asked,), torch.maximum(new, before[asked]))
            for before, new in zip((best.bound, best.real), found, strict=True)
        )
        return attrs.evolve(best, bound=bound, real=real)

    def _witness(self, domains: Domains, rows: Tensor) -> Tensor | None:
        """A violation at the minimisers of the open domains' bounds, or near the lowest of them; rows (D, *S) on the input."""
        points = self.witnesses.minimisers(rows)
        found = self.witnesses.found(points)
        self.batches += 1
        # descents take long, and more of them rarely find more
        if found is not None or self.batches & (self.batches - 1):
            return found
        lowest = domains.rank.topk(min(_DESCENTS, len(points)), largest=False).indices
        return self.witnesses.descended(points[lowest], domains.clause[lowest], _DESCENT_STEPS)

    def _solve(self, found: Outcome, domain: Domains) -> None:
        """Decides a domain in which every curve is a line, or counts its clause as stuck."""
        leaf = Leaf.of(DomainBounds(self.problem, domain))
        answer, bound, real = self._answer(leaf.affine()), domain.bound, domain.real
        if np.isfinite(answer.low):
            # the program's own numbers count neither its rounding nor that of executions
            closed = DomainBounds(self.problem, leaf.multiplied(answer)).proved().closed
            bound, real = torch.maximum(bound, closed.proved[:, 0]), torch.maximum(real, closed.proved_real[:, 0])
            if bool(bound > 0):
                found.close(domain.clause, bound)
                return
        if bool(real > 0):
            found.close(domain.clause, real)
            found.real = True
            return
        if answer.delta is not None:
            found.refute(self.witnesses.found(self._shaped(answer.delta)))
        found.stuck[domain.clause] = True
        found.close(domain.clause, bound)

    def _answer(self, domain: AffineDomain) -> LeafAnswer:
        root = self.problem.root
        if not domain.finite:
            return LeafAnswer.none(domain)
        if not root.boxed:
            return solved(domain, self._minimiser, self.tolerance)
        low, high = (side.flatten().numpy(force=True) for side in root.room)
        return solved_in_box(domain, low, high, self.tolerance)

    def _shaped(self, delta: np.ndarray) -> Tensor:
        x = self.witnesses.x
        return torch.from_numpy(delta).view(1, *x.shape[1:]).to(x)

    def _minimiser(self, row: np.ndarray) -> np.ndarray:
        x = self.problem.root.x
        direction = torch.from_numpy(-row).view(1, *x.shape[1:]).to(x)
        found: np.ndarray = self.problem.root.threat.linear_max(direction, x).flatten().numpy(force=True)
        return found
