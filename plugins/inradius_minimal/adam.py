"""Adam, for rows of which some may be left behind."""

import torch
from torch import Tensor


class Adam:
    """Steps of descent; the same rate for all examples, and moments of their own. Source: kingma2015."""

    def __init__(self, like: Tensor, rate: float) -> None:
        self._mean, self._square = torch.zeros_like(like), torch.zeros_like(like)
        self._rate, self._count = rate, 0

    def step(self, gradient: Tensor) -> Tensor:
        """The step for a gradient, both (n, *S)."""
        self._count += 1
        self._mean = 0.9 * self._mean + 0.1 * gradient
        self._square = 0.999 * self._square + 0.001 * gradient.square()
        mean, square = self._mean / (1 - 0.9**self._count), self._square / (1 - 0.999**self._count)
        return -self._rate * mean / (square.sqrt() + 1e-8)

    def take(self, places: Tensor) -> None:
        """Keeps only the examples in ``places``."""
        self._mean, self._square = self._mean[places], self._square[places]
