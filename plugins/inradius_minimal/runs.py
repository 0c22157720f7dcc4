"""Several runs for each example, side by side."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from inradius.ascent import Part
from inradius_minimal.smallest import Smallest


@attrs.frozen(eq=False, kw_only=True)
class Runs:
    """Runs towards several groups of classes, group by group: run a · n + i is that of example i with its group a.

    ``each`` has the examples of ``part`` repeated for every group, with ``aims`` (A · n, K) the classes of the group.
    """

    part: Part
    each: Part
    aims: Tensor

    @classmethod
    def of(cls, part: Part, groups: Sequence[Tensor]) -> "Runs":
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

    def judge(self, places: Tensor, delta: Tensor, found: Smallest) -> Tensor:
        """Judges the runs in ``places`` by a forward pass at their δ; which ones of all (A · n, *S) fool, (A · n,)."""
        fooled = torch.zeros_like(self.each.rows, dtype=torch.bool)
        if len(places) == len(self):
            return self.record(delta, self.each.model(self.each.x + delta), found)
        if len(places):
            some = self.each.take(places)
            logits = some.model(some.x + delta[places])
            fooled[places] = self._record(some, places, delta, logits, found)
        return fooled

    def record(self, delta: Tensor, logits: Tensor, found: Smallest) -> Tensor:
        """Has ``found`` keep of each example's δ (A · n, *S) that fool the smallest; which ones fool, (A · n,)."""
        return self._record(self.each, torch.arange(len(self), device=delta.device), delta, logits, found)

    def _record(self, some: Part, places: Tensor, delta: Tensor, logits: Tensor, found: Smallest) -> Tensor:
        """The same for the runs in ``places``, whose logits are given."""
        fooled = some.fooled(logits)
        hits = fooled.nonzero().squeeze(1)
        best = torch.arange(len(self.part), device=delta.device)
        if len(hits):
            where = places[hits]
            found_at, stands = self._smallest(where, found.measure(some.take(hits), delta[where]))
            best = torch.where(stands >= 0, found_at, best)
            better = (stands >= 0).nonzero().squeeze(1)
            found.keep(self.part.take(better), delta[best[better]], logits[hits[stands[better]]])
        if found.observed:
            found.show(self.part, delta[best])
        return fooled

    def _smallest(self, places: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        """Which of an example's runs in ``places`` has the smallest size, and where it stands there or −1, two of (n,)."""
        stands = torch.full_like(self.each.rows, -1)
        stands[places] = torch.arange(len(places), device=places.device)
        sizes = size.new_full((len(self),), torch.inf)
        sizes[places] = size
        group = sizes.view(-1, len(self.part)).argmin(0)
        run = group * len(self.part) + torch.arange(len(self.part), device=group.device)
        return run, stands[run]
