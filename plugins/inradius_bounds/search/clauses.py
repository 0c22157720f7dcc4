"""The clauses of one example's property as rows: a clause is proved where a combination of its rows is above 0."""

import attrs
import torch
from torch import Tensor

from inradius import Property
from inradius.outcomes.property_rows import not_above


@attrs.frozen(eq=False)
class Clauses:
    """The rows of C clauses, filled up to M rows each: weights (C, M, O), offsets (C, M), used (C, M), and their numbers (C, M).

    A clause holds where at least one of its rows is above 0. It does where a sum of its rows with weights ≥ 0 is above 0.
    """

    weights: Tensor
    offsets: Tensor
    used: Tensor
    index: Tensor

    @classmethod
    def of(cls, prop: Property) -> "Clauses":
        """The clauses of the property of one example."""
        weights, offsets = prop.weights[0], prop.offsets[0]
        if prop.clauses is None:
            every = torch.arange(len(offsets), device=offsets.device)[:, None]
            return cls(weights[:, None], offsets[:, None], torch.ones_like(every, dtype=torch.bool), every)
        members = prop.clauses.to(weights.device)
        most = max(1, int(members.sum(1).max()))
        index = members.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
        return cls(weights[index], offsets[index], members.gather(1, index), index)

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def single(self) -> bool:
        """True where every clause has one row."""
        return self.offsets.shape[1] == 1

    def even(self, clause: Tensor) -> Tensor:
        """The same weight for each row of the clauses (D,), with sum 1, (D, M)."""
        used = self.used[clause].to(self.offsets)
        return used / used.sum(1, keepdim=True)

    def open(self, safe: Tensor) -> Tensor:
        """The numbers of the clauses without a row whose bound is above 0, for bounds of all rows (K,)."""
        return (~((safe[self.index] > 0) & self.used).any(1)).nonzero()[:, 0]

    def raised(self, safe: Tensor, clause: Tensor, bound: Tensor) -> Tensor:
        """The bounds of all rows (K,), raised where a clause of one row has a higher bound (D,)."""
        alone = self.used[clause].sum(1) == 1
        row = self.index[clause].gather(1, self.used[clause].to(torch.int8).argmax(1, keepdim=True))[:, 0]
        finite = alone & bound.isfinite()
        return safe.scatter_reduce(0, row[finite], bound[finite].to(safe), "amax")

    def violated(self, outputs: Tensor) -> Tensor:
        """True where every row of some clause is at most 0 at the outputs, (B, O) -> (B,)."""
        values = torch.einsum("cmo,bo->bcm", self.weights, outputs) + self.offsets
        return torch.where(self.used, values, -torch.inf).amax(2).amin(1) <= 0

    def exactly_violated(self, outputs: Tensor) -> bool:
        """True where every row of some clause is at most 0 at finite outputs (1, O), in exact arithmetic."""
        count, most, width = self.weights.shape
        failed = not_above(self.weights.reshape(count * most, width), self.offsets.flatten(), outputs[0])
        return bool((failed.view(count, most) | ~self.used).all(1).any())
