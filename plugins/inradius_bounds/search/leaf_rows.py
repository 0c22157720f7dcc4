"""A domain without undecided numbers as affine functions of δ, and its proof by the multipliers of the exact minimum."""

import attrs
import numpy as np
import torch
from torch import Tensor

from inradius_bounds.backward.backward_pass import BackwardPass
from inradius_bounds.backward.rows.addition import LinearFunctions
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.units import UnitRows
from inradius_bounds.lowering.node import Node
from inradius_bounds.search.domain_bounds import DomainBounds
from inradius_bounds.search.domain_lines import entry_rows
from inradius_bounds.search.domains import Domains
from inradius_bounds.search.leaf import LeafAnswer
from inradius_bounds.search.leaf_program import AffineDomain


@attrs.define(eq=False)
class Leaf:
    """One domain in which every curve is a line. number (L,): its split numbers; side (L,): 1 for lower, −1 for upper limits."""

    bounds: DomainBounds
    number: Tensor
    side: Tensor

    @classmethod
    def of(cls, bounds: DomainBounds) -> "Leaf":
        """The leaf of bounds of one domain."""
        side = bounds.domains.side[0]
        number = side.nonzero()[:, 0]
        return cls(bounds, number, side[number].to(bounds.domains.low))

    def affine(self) -> AffineDomain:
        """The rows of the clause and the limits, as they are in float64."""
        bounds, clause = self.bounds, self.bounds.domains.clause
        used = bounds.clauses.used[clause][0]
        rows = bounds.clauses.weights[clause][:, used]
        result = bounds.layout.network.result
        own, constants = self._pulled(
            result, DenseRows(rows.view(1, -1, *result.stored)), bounds.clauses.offsets[clause][:, used]
        )
        limits, room = np.zeros((len(self.number), own.shape[1])), np.zeros(len(self.number))
        for curve, span in bounds.layout.spans.items():
            places = ((self.number >= span.start) & (self.number < span.stop)).nonzero()[:, 0]
            if len(places):
                at = places.numpy(force=True)
                limits[at], room[at] = self._limits(curve, self.number[places], self.side[places])
        return AffineDomain(own, constants, limits, room)

    def _limits(self, curve: Node, number: Tensor, side: Tensor) -> tuple[np.ndarray, np.ndarray]:
        bounds, source = self.bounds, curve.sources[0]
        domains, layout = bounds.domains, bounds.layout
        index = layout.places[curve][number - layout.spans[curve].start]
        zero = torch.zeros(1, len(index), dtype=side.dtype, device=side.device)
        rows, value = self._pulled(source, UnitRows(index[None], None, side.dtype), zero)
        low, high = (each[0, number] for each in (domains.low, domains.high))
        limit, sign = torch.where(side > 0, low, high).numpy(force=True), side.numpy(force=True)
        return sign[:, None] * rows, sign * (value - limit)

    def _pulled(self, node: Node, function: LinearFunctions, constant: Tensor) -> tuple[np.ndarray, np.ndarray]:
        bounds = self.bounds
        lines, share = bounds.counted, bounds.domains.share
        known = {**lines.split_lines(share, torch.zeros_like(share)), **lines.planes}
        ended = BackwardPass(lines.values, known, {node: function}, constant).run(node)
        rows = entry_rows(ended)[0].flatten(1)
        return rows.numpy(force=True).astype(np.float64), ended.constant[0].numpy(force=True).astype(np.float64)

    def multiplied(self, answer: LeafAnswer) -> Domains:
        """The domain with the multipliers and weights of an answer."""
        domains = self.bounds.domains
        prices = torch.from_numpy(answer.prices).to(domains.multiplier) * self.side
        multiplier = torch.zeros_like(domains.multiplier).index_add(1, self.number, prices[None])
        weights = torch.zeros_like(domains.weights)
        weights[0, self.bounds.clauses.used[domains.clause][0]] = torch.from_numpy(answer.weights).to(weights)
        return attrs.evolve(domains, multiplier=multiplier, weights=weights)
