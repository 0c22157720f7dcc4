"""The iterates of an attack that a loss needs."""

from collections.abc import Iterable

import torch
from torch import Tensor

from inradius.attacks.observer import Observer


class Trace(Observer):
    """Keeps the iterates of some numbers, and counts those at which the prediction is right.

    ``withstood`` (B,) is the number of iterates at which the prediction was right, ``tried`` (B,) of how many; both stay None
    where the attack does not call ``judged``.
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

    def judged(self, rows: Tensor, misclassified: Tensor) -> None:
        """Counts the iterate last shown for the examples ``rows`` (n,)."""
        if self.withstood is None or self.tried is None:
            self.withstood, self.tried = torch.zeros(2, self._count, dtype=torch.int64, device=rows.device)
        self.withstood[rows] += ~misclassified
        self.tried[rows] += 1
