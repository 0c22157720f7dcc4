"""The domains that are still open, the one of the lowest rank first."""

import heapq
from itertools import count

import attrs

from inradius_bounds.search.domains import Domains


@attrs.define(eq=False)
class DomainQueue:
    """Open domains in the order of their ranks; the newest first while there are more than ``most``, so that memory suffices."""

    most: int
    _heap: list[tuple[float, int, Domains]] = attrs.field(factory=list)
    _number: "count[int]" = attrs.field(factory=count)

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, domains: Domains) -> None:
        """Adds domains."""
        for place, rank in enumerate(domains.rank.tolist()):
            # a copy, so that the batch that the domain comes from can be freed
            own = Domains(*(each[place : place + 1].clone() for each in attrs.astuple(domains, recurse=False)))
            heapq.heappush(self._heap, (rank, next(self._number), own))

    def pop(self, size: int) -> Domains:
        """Takes at most ``size`` domains out."""
        if len(self._heap) > self.most:
            self._heap.sort(key=lambda entry: entry[1])
            taken, self._heap = self._heap[-size:], self._heap[:-size]
            heapq.heapify(self._heap)
        else:
            taken = [heapq.heappop(self._heap) for _ in range(min(size, len(self._heap)))]
        return Domains.joined([domain for _, _, domain in taken])

    def all(self) -> Domains:
        """All domains, which stay in the queue, the oldest first."""
        return Domains.joined([domain for _, _, domain in sorted(self._heap, key=lambda entry: entry[1])])
