"""Giving up on examples whose loss no longer falls."""

import torch
from torch import Tensor

# Carlini and Wagner's code: a loss that is not below this share of what it was has stalled
_PROGRESS = 0.9999


class Patience:
    """Compares the losses of examples from time to time, to find those whose loss no longer falls."""

    def __init__(self, steps: int, like: Tensor) -> None:
        # Carlini and Wagner's code looks ten times in a search
        self._every = max(1, steps // 10)
        self._last = torch.full_like(like, torch.inf)

    def going(self, step: int, loss: Tensor) -> Tensor:
        """True for the examples whose loss (n,) still falls, (n,)."""
        if step % self._every:
            return torch.ones_like(loss, dtype=torch.bool)
        falls = ~(loss > _PROGRESS * self._last)
        self._last = loss
        return falls

    def take(self, places: Tensor) -> None:
        """Keeps only the examples in ``places``."""
        self._last = self._last[places]
