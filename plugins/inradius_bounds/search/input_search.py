"""Branch and bound over boxes of inputs, for sets that are boxes of few inputs.

Each cell is bounded by backward passes of its own, then by a few splits at neurons. A cell that is not proved is halved at the
input on which its bounds depend most, those before the splits and those after ascents in equal parts.
Source: wang2018 (input splitting), zhang2018 and wang2021 (bounds).
"""

from functools import cached_property, partial, reduce

import attrs
import torch
from torch import Tensor, nn

from inradius import Property
from inradius.certifiers.search_progress import tell
from inradius.sets.region import BoxRegion
from inradius_bounds.backward.backward_pass import BackwardPass
from inradius_bounds.backward.certifier_bounds import values_of
from inradius_bounds.backward.inner_bounds import relax_curves
from inradius_bounds.backward.pass_ends import lower
from inradius_bounds.backward.property_bounds import lines_of
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.box import Box
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rules.relax import smallest_area
from inradius_bounds.search.cell_splits import CellSplits
from inradius_bounds.search.clauses import Clauses
from inradius_bounds.search.domain_lines import entry_rows
from inradius_bounds.search.domains import Domains
from inradius_bounds.search.kept_search import KeptSearch, outcome_state, take_outcome
from inradius_bounds.search.mean_rows import best_weights
from inradius_bounds.search.outcome import Outcome
from inradius_bounds.search.search_limit import SearchLimit
from inradius_bounds.search.split_problem import SplitProblem
from inradius_bounds.search.witnesses import WitnessSearch

# a cell this small, relative to the set, is not split any more
_SMALLEST = 2.0**-40
# cells that may be bounded to prove the strongest claim, in any case
_AGAIN = 64
# halves are halved again while they are fewer, as a batch of few cells takes as long as one of so many
_FEW = 32
# the bound of a property that is proved
_ABOVE = torch.finfo(torch.float64).tiny
# the names of open and of waiting cells in a kept state
_CELLS = ("cells.low", "cells.high", "waiting.low", "waiting.high")


@attrs.frozen(eq=False)
class Cells:
    """Boxes of perturbations, low ≤ δ ≤ high, (D, *S) each."""

    low: Tensor
    high: Tensor

    def __len__(self) -> int:
        return len(self.low)

    def select(self, index: Tensor | slice) -> "Cells":
        """The chosen cells."""
        return Cells(self.low[index], self.high[index])

    def joined(self, other: "Cells") -> "Cells":
        """These cells and others."""
        return Cells(torch.cat([self.low, other.low]), torch.cat([self.high, other.high]))

    def halves(self, axis: Tensor) -> "Cells":
        """The halves of each cell along a flat input number (D,)."""
        middle = (self.low + self.high) / 2
        chosen = torch.nn.functional.one_hot(axis, self.low.shape[1:].numel()).bool().view_as(self.low)
        lower = Cells(self.low, torch.where(chosen, middle, self.high))
        return lower.joined(Cells(torch.where(chosen, middle, self.low), self.high))


@attrs.define(eq=False, slots=False)
class InputSearch:
    """The search for one example x (1, *S) in float64 whose set is the box low ≤ δ ≤ high, two of (1, *S).

    batch: the count of cells that are bounded at once. steps, goal: of the ascents in cells. waiting: the cells that are proved at
    level "real" only.
    """

    model: nn.Module
    x: Tensor
    box: Box
    prop: Property
    clauses: Clauses
    witnesses: WitnessSearch
    batch: int
    steps: int
    goal: float
    waiting: list[Cells] = attrs.field(factory=list)

    def run(self, limit: SearchLimit) -> Outcome:
        """The outcome, when the property is decided or the limit is reached.

        Cells that are proved at level "real" only wait until all others are proved. Then the search takes up to as many cells
        again to prove them at the level that is asked for.
        """
        found = Outcome.of(1, self.x)
        cells = self._begin(found)
        limit = limit.beyond(found)
        cells = self._searched(found, cells, limit, keep=True)
        self.kept.end(partial(self._state, found, cells), decided=not len(cells) and not self.waiting)
        if not len(cells) and found.witness is None and not bool(found.stuck.any()):
            found.real = self._real_only(found, limit)
        # what is proved is above 0 by a distance that is not known
        found.open = self.x.new_tensor([-torch.inf if len(cells) else _ABOVE])
        return found

    def _begin(self, found: Outcome) -> Cells:
        """The cells that an earlier call has left, or the whole box."""
        state = self.kept.found()
        if state is None:
            return Cells(*self.box)
        take_outcome(state, found)
        low, high, more, most = (state[name].to(self.x) for name in _CELLS)
        self.waiting.extend([Cells(more, most)] * bool(len(more)))
        return Cells(low, high)

    @cached_property
    def kept(self) -> KeptSearch:
        """The place of this search among the kept ones."""
        clauses = attrs.astuple(self.clauses, recurse=False)
        return KeptSearch.of("inputs", [self.x, *self.box, self.prop.weights, self.prop.offsets, *clauses])

    def _state(self, found: Outcome, cells: Cells) -> dict[str, Tensor]:
        waiting = reduce(Cells.joined, self.waiting, cells.select(slice(0, 0)))
        tensors = (cells.low, cells.high, waiting.low, waiting.high)
        return outcome_state(found) | dict(zip(_CELLS, tensors, strict=True))

    def _searched(self, found: Outcome, cells: Cells, limit: SearchLimit, *, keep: bool = False) -> Cells:
        """The cells that are left, when all are proved, a witness is found, or the limit is reached."""
        while len(cells) and found.witness is None and not limit.reached(found):
            # the newest cells first, so that few are open at once
            newest = cells.select(slice(-self.batch, None))
            cells = cells.select(slice(None, -self.batch)).joined(self._left(found, newest))
            tell(found.visited, len(cells))
            if keep:
                self.kept.keep(partial(self._state, found, cells))
        return cells

    def _real_only(self, found: Outcome, limit: SearchLimit) -> bool:
        """True where some waiting cells are not proved at the level that is asked for either."""
        again = Outcome.of(1, self.x)
        limit = limit.after(found, max(found.visited, _AGAIN))
        while self.waiting and not limit.reached(again) and not bool(again.stuck.any()):
            cells = self.waiting.pop()
            axis = (cells.high - cells.low).flatten(1).argmax(1)
            left = self._searched(again, cells.halves(axis), limit)
            if len(left) or again.witness is not None:
                return True
        found.visited += again.visited
        return bool(self.waiting) or bool(again.stuck.any())

    def _left(self, found: Outcome, cells: Cells) -> Cells:
        """The halves of those cells that are not proved."""
        values, safe, rows = self._bounds(cells)
        found.visited += len(safe)
        clauses = self.clauses
        unproved = ~((safe[:, clauses.index] > 0) & clauses.used).any(2)
        left = unproved.any(1).nonzero()[:, 0]
        if not len(left):
            return cells.select(left)
        problem = SplitProblem.of(self.model, values.select(left), clauses, self.witnesses.x.dtype)
        splits = CellSplits.of(problem, self.steps, self.goal)
        cells = cells.select(left)
        safe, rows = safe[left], rows[left]
        splits.run(self._domains(problem, cells, unproved[left], safe, rows))
        found.visited += splits.visited
        self._refute(found, cells, splits)
        open_rows = (rows.abs() * (safe <= 0).view(*safe.shape, *[1] * (rows.ndim - 2))).sum(1)
        weight = _shares(open_rows) + _shares(splits.rows)
        if bool(splits.real.any()):
            self.waiting.append(cells.select(splits.real))
        return self._parts(found, cells.select(splits.open), weight[splits.open])

    def _domains(self, problem: SplitProblem, cells: Cells, unproved: Tensor, safe: Tensor, rows: Tensor) -> Domains:
        """Whole cells, a domain for each clause that is not proved, with weights of the clause's rows that suit the bounds."""
        part, clause = unproved.nonzero(as_tuple=True)
        found, clauses = problem.whole(clause, part), self.clauses
        if clauses.single:
            return found
        half, flat = ((cells.high - cells.low) / 2).flatten(1), rows.flatten(2)
        heights = safe + (flat.abs() * half[:, None]).sum(2)
        weights = best_weights(flat[:, clauses.index], heights[:, clauses.index], half, clauses.used)
        return attrs.evolve(found, weights=weights[part, clause])

    def _refute(self, found: Outcome, cells: Cells, splits: CellSplits) -> None:
        """Looks for a violation in the middle of the open cells, and at the minimisers of their domains' bounds."""
        middle = ((cells.low + cells.high) / 2)[splits.open]
        corners = [torch.where(rows > 0, cells.low[part], cells.high[part]) for part, rows in splits.points]
        found.refute(self.witnesses.found(torch.cat([middle, *corners]).to(self.witnesses.x)))

    def _parts(self, found: Outcome, cells: Cells, weight: Tensor) -> Cells:
        """The halves of cells with weights (D, n) of their inputs, and their halves again while they are few."""
        cells, weight = self._halved(found, cells, weight)
        while 0 < len(cells) < _FEW:
            cells, weight = self._halved(found, cells, weight)
        return cells

    def _halved(self, found: Outcome, cells: Cells, weight: Tensor) -> tuple[Cells, Tensor]:
        """The halves of cells at the inputs with the largest product of weight (D, n) and width, and the halves' weights."""
        width = (cells.high - cells.low).flatten(1)
        tiny = (width <= _SMALLEST * (self.box[1] - self.box[0]).flatten(1)).all(1)
        if bool(tiny.any()):
            found.stuck[:] = True
            cells, weight, width = cells.select(~tiny), weight[~tiny], width[~tiny]
        return cells.halves(((weight + 1e-30) * width).argmax(1)), weight.repeat(2, 1)

    def _bounds(self, cells: Cells) -> tuple[ValueBounds, Tensor, Tensor]:
        """The bounds of values over each cell, bounds of the property's rows (D, K), and the rows on the input (D, K, *S)."""
        center = self.x + (cells.low + cells.high) / 2
        around = BoxRegion.between(*self._sides(cells), center)
        found = relax_curves(values_of(self.model, center, around), relax=smallest_area)
        values, prop = found.values, self.prop.expand(len(center))
        result = values.network.result
        rows = DenseRows(prop.weights.reshape(*prop.offsets.shape, *result.stored))
        ended = BackwardPass(values, lines_of(found), {result: rows}, prop.offsets).run(result)
        return values, lower(ended).proved, entry_rows(ended)

    def _sides(self, cells: Cells) -> Box:
        """The sides of x + δ over cells, rounded outward."""
        infinite = torch.full_like(cells.low, torch.inf)
        return torch.nextafter(self.x + cells.low, -infinite), torch.nextafter(self.x + cells.high, infinite)


def _shares(rows: Tensor) -> Tensor:
    """The share of each input in the size of a row, (D, *S) -> (D, n)."""
    size = rows.flatten(1)
    return size / (size.sum(1, keepdim=True) + 1e-30)
