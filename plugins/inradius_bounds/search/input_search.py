"""Branch and bound over boxes of inputs, for sets that are boxes of few inputs.

Each cell is bounded by backward passes of its own. A cell that is not proved is halved at the input on which the bounds of its
open rows depend most. Source: wang2018 (input splitting), zhang2018 (bounds).
"""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor, nn

from inradius import Property
from inradius.sets.region import BoxRegion
from inradius_bounds.backward.backward_pass import BackwardPass
from inradius_bounds.backward.certifier_bounds import values_of
from inradius_bounds.backward.curve_lines import CurveLines
from inradius_bounds.backward.domain import within_domain
from inradius_bounds.backward.inner_bounds import relax_curves
from inradius_bounds.backward.pass_ends import lower
from inradius_bounds.backward.product_planes import Planes
from inradius_bounds.backward.property_bounds import lines_of
from inradius_bounds.backward.rows.addition import LinearFunctions
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.box import Box
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rules.relax import smallest_area
from inradius_bounds.search.clauses import Clauses
from inradius_bounds.search.domain_bounds import on_entry_rows
from inradius_bounds.search.mean_rows import MeanRows, best_weights
from inradius_bounds.search.outcome import Outcome
from inradius_bounds.search.search_limit import SearchLimit
from inradius_bounds.search.witnesses import WitnessSearch

Lines = Mapping[Node, CurveLines | Planes]

# a cell this small, relative to the set, is not split any more
_SMALLEST = 2.0**-40


@attrs.define(eq=False)
class InputSearch:
    """The search for one example x (1, *S) in float64 whose set is the box low ≤ δ ≤ high, two of (1, *S)."""

    model: nn.Module
    x: Tensor
    box: Box
    prop: Property
    clauses: Clauses
    witnesses: WitnessSearch
    batch: int

    def run(self, limit: SearchLimit) -> Outcome:
        """The outcome, when the property is decided or the limit is reached."""
        found = Outcome.of(1, self.x)
        cells, bounds = [self.box], [-torch.inf]
        while cells and found.witness is None and not limit.reached(found):
            # the newest cells first, so that few are open at once
            taken, cells, bounds = cells[-self.batch :], cells[: -self.batch], bounds[: -self.batch]
            low, high = (torch.cat(side) for side in zip(*taken, strict=True))
            self._step(found, low, high, cells, bounds)
        found.open = self.x.new_tensor([min(bounds, default=torch.inf)])
        return found

    def _step(self, found: Outcome, low: Tensor, high: Tensor, cells: list[Box], bounds: list[float]) -> None:
        """Bounds cells (D, *S), and adds the halves of those that are not proved to ``cells``, with their bounds."""
        safe, rows, lowest = self._bounds(low, high)
        found.visited += len(low)
        done = lowest > 0
        zero = torch.zeros_like(done, dtype=torch.int64)
        found.close(zero[done], lowest[done])
        if bool(done.all()):
            return
        low, high, rows, safe, lowest = (each[~done] for each in (low, high, rows, safe, lowest))
        corner = torch.where(rows[:, int(safe.amin(0).argmin())] > 0, low, high)
        found.witness = self.witnesses.found(torch.cat([(low + high) / 2, corner]).to(self.witnesses.x))
        width = (high - low).flatten(1)
        tiny = (width <= _SMALLEST * (self.box[1] - self.box[0]).flatten(1)).all(1)
        if bool(tiny.any()):
            found.stuck[:] = True
            found.close(zero[~done][tiny], lowest[tiny].clamp(max=0))
        weight = (rows.abs().flatten(2) * (safe <= 0)[..., None]).sum(1) + 1e-30
        axis = (weight * width).argmax(1)
        for cell in (~tiny).nonzero()[:, 0].tolist():
            cells += _halves(low[cell : cell + 1], high[cell : cell + 1], int(axis[cell]))
            bounds += [float(lowest[cell])] * 2

    def _bounds(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Over each cell: bounds of the rows (D, K), the rows on the input (D, K, *S), and the bound of the lowest clause (D,)."""
        middle = (low + high) / 2
        center = self.x + middle
        around = BoxRegion.between(*self._sides(low, high), center)
        values = values_of(self.model, center, around)
        found = relax_curves(values, relax=smallest_area)
        prop, result = self.prop.expand(len(low)), values.network.result
        rows = DenseRows(prop.weights.reshape(*prop.offsets.shape, *result.stored))
        lines = lines_of(found)
        ended = BackwardPass(values, lines, {result: rows}, prop.offsets).run(result)
        safe, slopes = within_domain(values, lower(ended)).proved, on_entry_rows(ended)
        return safe, slopes, self._weakest(values, lines, safe, slopes, (high - low) / 2)

    def _weakest(self, values: ValueBounds, lines: Lines, safe: Tensor, slopes: Tensor, half: Tensor) -> Tensor:
        """The lowest bound of a clause over each cell, (D,): that of its highest row, or of a mean of its rows."""
        clauses, prop = self.clauses, self.prop.expand(len(safe))
        if clauses.single or bool(prop.holds(safe > 0).all()):
            return prop.weakest(safe)
        flat, half, rows = slopes.flatten(2), half.flatten(1), clauses.index
        heights = safe + (flat.abs() * half[:, None]).sum(2)
        weights = best_weights(flat[:, rows], heights[:, rows], half, clauses.used)
        means, result = MeanRows(clauses.weights[None], clauses.offsets[None], weights), values.network.result
        start: dict[Node, LinearFunctions] = {
            result: DenseRows(means.on_outputs.view(*weights.shape[:2], *result.stored))
        }
        mean = lower(BackwardPass(values, lines, start, means.constants).run(result))
        mean = within_domain(values, means.rounded(values, mean))
        single = torch.where(clauses.used, safe[:, rows], -torch.inf).amax(2)
        return torch.maximum(single, mean.proved).amin(1)

    def _sides(self, low: Tensor, high: Tensor) -> Box:
        """The sides of x + δ over cells, rounded outward."""
        infinite = torch.full_like(low, torch.inf)
        return torch.nextafter(self.x + low, -infinite), torch.nextafter(self.x + high, infinite)


def _halves(low: Tensor, high: Tensor, axis: int) -> list[Box]:
    """The halves of one cell (1, *S) along a flat input number."""
    middle = (low + high).flatten(1)[:, axis] / 2
    index = torch.tensor([axis], device=low.device)
    upper = low.flatten(1).index_copy(1, index, middle[:, None]).view_as(low)
    lower_half = high.flatten(1).index_copy(1, index, middle[:, None]).view_as(high)
    return [(low, lower_half), (upper, high)]
