"""The oracles of sets in which δ is 0 outside of one of several parts of the coordinates, such as a few pixels or a window."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from inradius.sets.arithmetic.answers import point
from inradius.sets.arithmetic.rooms import outward
from inradius.sets.box import corner
from inradius.sets.oracles import Oracles


class BestPartOracles(Oracles, ABC):
    """{δ : low ≤ δ ≤ high, δ = 0 outside of one part}, for any of the parts; not convex, and every oracle here is exact.

    What is gained within a part is a sum over its coordinates, so that each oracle finds the gain of each coordinate, and then
    the part with the largest sum. The sides are as far from 0 on both sides, but for the box of valid inputs.
    """

    @abstractmethod
    def _cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """The sides low and high for inputs x (B, *S), in the wider of its type and ``dtype``, two of (B, 1, n).

        What follows them, one row for each example, is handed on to ``_best``.
        """

    @abstractmethod
    def _outer_cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The sides, rounded outwards, two of (B, 1, n)."""

    @abstractmethod
    def _best(self, gains: Tensor, x: Tensor, *own: Tensor) -> tuple[Tensor, Tensor]:
        """The gains of the best part, and 1 at its coordinates, else 0, (B, K, n) -> (B, K) or (B, K, parts), and (B, K, n)."""

    @property
    def convex(self) -> bool:
        return False

    @property
    def symmetric(self) -> bool:
        return True

    @property
    def tight(self) -> bool:
        return True

    def project(self, delta: Tensor, x: Tensor) -> Tensor:
        def nearest(v: Tensor, low: Tensor, high: Tensor, *own: Tensor) -> Tensor:
            clipped = torch.clamp(v, low, high)
            # v² − (v − clip v)², without squares that overflow
            return clipped * self._best(clipped * (2 * v - clipped), x, *own)[1]

        return point(nearest, delta, x, *self._cell(x, delta.dtype))

    def linear_max(self, c: Tensor, x: Tensor) -> Tensor:
        def farthest(c: Tensor, low: Tensor, high: Tensor, *own: Tensor) -> Tensor:
            vertex = corner(c, low, high)
            return vertex * self._best(c * vertex, x, *own)[1]

        return point(farthest, c, x, *self._cell(x, c.dtype))

    def hull(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return outward(*self._outer_cell(x, x.dtype), x)
