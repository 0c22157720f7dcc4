"""Several runs for each example, side by side."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch
from inradius_minimal.smallest import Smallest


@attrs.frozen(eq=False, kw_only=True)
class Runs:
    """Runs towards several groups of classes, group by group: run a · n + i is that of example i with its group a.

    ``each`` has the examples of ``part`` repeated for every group, with ``aims`` (A · n, K) the classes of the group.
    """

    part: AttackBatch
    each: AttackBatch
    aims: Tensor

    @classmethod
    def of(cls, part: AttackBatch, groups: Sequence[Tensor]) -> "Runs":
        """A run of every example of the part with each of its groups, A times (n, K)."""
        index = torch.arange(len(part), device=part.rows.device).repeat(len(groups))
        return cls(part=part, each=part.take(index), aims=torch.cat([*groups]))

    def __len__(self) -> int:
        return len(self.each)

    def keep(self, left: Tensor) -> tuple["Runs", Tensor]:
        """The runs of the examples in ``left``, places in the part, and where these stood."""
        first = torch.arange(0, len(self), len(self.part), device=left.device)
        index = (first[:, None] + left).flatten()
        return Runs(part=self.part.take(left), each=self.each.take(index), aims=self.aims[index]), index

    def judge(self, suspects: Tensor, delta: Tensor, found: Smallest) -> Tensor:
        """Judges all runs of the examples that have suspects (A · n,) by a forward pass; True where misclassified, (A · n,)."""
        mates = suspects.view(-1, len(self.part)).any(0).repeat(len(suspects) // max(1, len(self.part)))
        places = mates.nonzero().squeeze(1)
        if len(places) == len(self):
            return self.record(delta, self.each.model(self.each.x + delta), found)
        fooled = torch.zeros_like(suspects)
        if len(places):
            some = self.each.take(places)
            logits = some.model(some.x + delta.index_select(0, places))
            fooled[places] = self._record(some, places, delta, logits, found)
        return fooled

    def record(self, delta: Tensor, logits: Tensor, found: Smallest) -> Tensor:
        """Records of each example's misclassified δ (A · n, *S) the smallest; True where misclassified, (A · n,)."""
        return self._record(self.each, torch.arange(len(self), device=delta.device), delta, logits, found)

    def _record(self, some: AttackBatch, places: Tensor, delta: Tensor, logits: Tensor, found: Smallest) -> Tensor:
        """The same for the runs in ``places``, whose logits are given."""
        fooled = found.fooled(some, logits)
        best = torch.arange(len(self.part), device=delta.device)
        hits = fooled.nonzero().squeeze(1)
        if len(hits):
            stands, least, run = self._best(some, places, hits, delta, found)
            best = torch.where(stands >= 0, run, best)
            better = (least < found.size[self.part.rows]).nonzero().squeeze(1)
            if len(better):
                found.keep(self.part.take(better), delta[run[better]], logits[hits[stands[better]]])
        barely = (some.misclassified(logits) & ~fooled).nonzero().squeeze(1)
        if len(barely):
            _, least, run = self._best(some, places, barely, delta, found)
            better = (least < found.edge[self.part.rows]).nonzero().squeeze(1)
            found.keep_brink(self.part.take(better), delta[run[better]])
        if found.observed:
            found.show(self.part, delta[best])
        return fooled

    def _best(
        self, some: AttackBatch, places: Tensor, hits: Tensor, delta: Tensor, found: Smallest
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Of each example's runs among ``hits``, which stand in ``places``, what ``_smallest`` says."""
        return self._smallest(places[hits], found.measure(some.take(hits), delta.index_select(0, places[hits])))

    def _smallest(self, places: Tensor, size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of each example's runs in ``places`` the one of the smallest size: where in them, −1 for none, its size, its run."""
        stands = torch.full_like(self.each.rows, -1)
        stands[places] = torch.arange(len(places), device=places.device)
        sizes = size.new_full((len(self),), torch.inf)
        sizes[places] = size
        least, group = sizes.view(-1, len(self.part)).min(0)
        run = group * len(self.part) + torch.arange(len(self.part), device=group.device)
        return stands[run], least, run
