"""Means of a clause's rows: where one is above 0, some row is, so they prove the clause together.

    maximise over w ≥ 0, Σ w = 1    Σ w c − |Σ w a| · half,

over a box, where each row is at least a · δ + c around the middle of the box. The function is concave. Steps of exponentiated
gradients find weights, and all weights are sound. Source: kivinen1997.
"""

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.pass_ends import ClosedRows
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rounding import ROOM, gamma, tiny

_STEPS = 24


@attrs.frozen(eq=False)
class MeanRows:
    """Means of M rows each: rows (D or 1, C, M, O), offsets (D or 1, C, M) and weights (D, C, M)."""

    rows: Tensor
    offsets: Tensor
    weights: Tensor

    @property
    def on_outputs(self) -> Tensor:
        """The means as rows on the outputs, (D, C, O)."""
        return (self.weights[..., None, :] @ self.rows).squeeze(-2)

    @property
    def constants(self) -> Tensor:
        """The means of the offsets, (D, C)."""
        return (self.weights * self.offsets).sum(-1)

    def rounded(self, values: ValueBounds, found: ClosedRows) -> ClosedRows:
        """The bounds (D, C) of the means as they were computed, with the error of computing them."""
        if values.errors is None or found.error is None:
            return found
        sizes = MeanRows(self.rows.abs(), self.offsets.abs(), self.weights)
        reach = values.errors.magnitudes.reach(values.network.result).flatten(1)[:, None]
        size = (sizes.on_outputs * reach).sum(2) + sizes.constants
        count = self.weights.shape[2]
        share, small = gamma(count + reach.shape[2] + 4, size.dtype), 2 * count * tiny(size.dtype)
        return attrs.evolve(found, error=found.error + ROOM * (share * size + small * (1 + reach.sum(2))))


def best_weights(slopes: Tensor, heights: Tensor, half: Tensor, used: Tensor) -> Tensor:
    """Weights (D, C, M) of the rows of C clauses: slopes (D, C, M, n), heights (D, C, M), half (D, n), used (C, M)."""
    used = used.to(heights)
    weights = (used / used.sum(1, keepdim=True)).expand_as(heights)
    single = heights - (slopes.abs() * half[:, None, None]).sum(3)
    single = torch.where(used > 0, single, -torch.inf)
    highest = single.amax(2)
    best = torch.nn.functional.one_hot(single.argmax(2), heights.shape[2]).to(heights)
    size = (heights.abs() + (slopes.abs() * half[:, None, None]).sum(3)).amax(2, keepdim=True).clamp(min=1e-30)
    for step in range(_STEPS):
        mixed = (weights[..., None] * slopes).sum(2)
        value = (weights * heights).sum(2) - (mixed.abs() * half[:, None]).sum(2)
        better = value > highest
        highest, best = torch.maximum(highest, value), torch.where(better[..., None], weights, best)
        gradient = heights - (slopes * (mixed.sign() * half[:, None])[:, :, None]).sum(3)
        grown = weights * torch.exp(4.0 * (1 + step) ** -0.5 * gradient / size)
        weights = grown / grown.sum(2, keepdim=True)
    return best
