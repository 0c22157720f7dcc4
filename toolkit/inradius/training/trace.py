"""What is kept of an attack's iterates for a loss."""

from collections.abc import Iterable

import torch
from torch import Tensor


class Trace:
    """An observer of an attack that keeps the iterates of some numbers, and counts those that are withstood.

    ``withstood`` (B,) is the number of iterates at which the prediction was right, ``tried`` (B,) of how many; they stay None
    where the attack does not say how its iterates were judged, by calling ``judged``.
    """

    def __init__(self, keep: Iterable[int], count: int) -> None:
        self._keep, self._count = frozenset(keep), count
        self.iterates: dict[int, Tensor] = {}
        self.withstood: Tensor | None = None
        self.tried: Tensor | None = None

    def __call__(self, step: int, delta: Tensor) -> None:
        """An iterate of the whole batch, (B, *S)."""
        if step in self._keep:
            self.iterates[step] = delta.detach().clone()

    def judged(self, rows: Tensor, fooled: Tensor) -> None:
        """Whether the examples ``rows`` (n,) were fooled by the iterate last shown, (n,)."""
        if self.withstood is None or self.tried is None:
            self.withstood, self.tried = torch.zeros(2, self._count, dtype=torch.int64, device=rows.device)
        self.withstood[rows] += ~fooled
        self.tried[rows] += 1
