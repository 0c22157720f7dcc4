"""Domains: parts of sets of perturbations, each with limits of the inputs of the network's curves."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor


@attrs.frozen(eq=False)
class Domains:
    """D domains, each for one clause of the property.

    part (D,): the number of the set that the domain is a part of. clause (D,): the clause that is to be proved. bound, real (D,):
    the bounds that are proved for it at the level that is asked for and at level "real". low, high (D, N): the limits of the
    curves' inputs. share (D, N): the share of the last line below each curve. multiplier (D, N): the multipliers of the limits.
    side (D, N): 1 for numbers that were split and have the upper half, −1 for the lower half, else 0; a multiplier has this
    sign. weights (D, M): the weights of the clause's rows. rank (D,): the bound without rounding, by which domains are queued.
    number, point (D,): where the domain is to be split; −1 where every curve is a line.
    """

    part: Tensor
    clause: Tensor
    bound: Tensor
    real: Tensor
    low: Tensor
    high: Tensor
    share: Tensor
    multiplier: Tensor
    side: Tensor
    weights: Tensor
    rank: Tensor
    number: Tensor
    point: Tensor

    def __len__(self) -> int:
        return len(self.clause)

    def select(self, index: Tensor) -> "Domains":
        """The chosen domains."""
        return Domains(*(each[index] for each in attrs.astuple(self, recurse=False)))

    @classmethod
    def joined(cls, parts: Sequence["Domains"]) -> "Domains":
        """The domains of several parts."""
        columns = zip(*(attrs.astuple(part, recurse=False) for part in parts), strict=True)
        return cls(*(torch.cat(column) for column in columns))

    @property
    def depth(self) -> Tensor:
        """The count of numbers at which each domain was split, (D,)."""
        return (self.side != 0).sum(1)

    def halves(self, number: Tensor, point: Tensor) -> "Domains":
        """The two halves of each domain, split at ``point`` (D,) of the input ``number`` (D,): all upper halves, then all lower.

        Both halves contain the inputs at which the number equals the point.
        """
        place = number[:, None]
        low = self.low.scatter(1, place, torch.maximum(self.low.gather(1, place), point[:, None]))
        high = self.high.scatter(1, place, torch.minimum(self.high.gather(1, place), point[:, None]))
        known, one = self.multiplier.gather(1, place), torch.ones_like(place, dtype=self.side.dtype)
        upper = attrs.evolve(
            self,
            low=low,
            multiplier=self.multiplier.scatter(1, place, known.clamp(min=0)),
            side=self.side.scatter(1, place, one),
        )
        lower = attrs.evolve(
            self,
            high=high,
            multiplier=self.multiplier.scatter(1, place, known.clamp(max=0)),
            side=self.side.scatter(1, place, -one),
        )
        return Domains.joined([upper, lower])
