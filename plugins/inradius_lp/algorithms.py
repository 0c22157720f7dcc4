"""The algorithms of one norm, which answer for its ball ∩ box."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from inradius import ExampleRNG
from inradius.sets.arithmetic.sides import Box, Side

Answers = tuple[Tensor, ...]


class NormAlgorithms(ABC):
    """The algorithms of one norm, and the box.

    They work on rows: directions c or points v (B, K, n), room ``low`` ≤ 0 ≤ ``high`` within box and radius, (B, 1, n) or
    (B, K, n), and ``radius`` (B, 1, 1) or (1, 1, 1), whatever broadcasts.
    """

    order: ClassVar[float]

    @property
    @abstractmethod
    def bounds(self) -> Box:
        """The box that x + δ is kept in."""

    @property
    def is_box(self) -> bool:
        """True where the set is a box itself."""
        return self.order == torch.inf

    @abstractmethod
    def reach(self, rows: Tensor) -> float:
        """A radius that holds the whole box: larger ones change nothing, but could overflow."""

    @abstractmethod
    def length(self, z: Tensor) -> Tensor:
        """The norm, (..., n) -> (...)."""

    @abstractmethod
    def nearest(self, v: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
        """The point of the set nearest to v, (B, K, n)."""

    @abstractmethod
    def farthest(self, c: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
        """A point of the set at which ⟨c, δ⟩ is largest, (B, K, n)."""

    @abstractmethod
    def value(self, c: Tensor, low: Tensor, high: Tensor, radius: Tensor, lost: Tensor, *, slope: bool) -> Answers:
        """max ⟨c, δ⟩ as computed, and an upper bound on it, two of (B, K); with ``slope`` also the gradient in c, (B, K, n).

        Room and radius are rounded outward, and ``lost`` is what underflow may take from a product with a point of the room.
        """

    @abstractmethod
    def value_bound(
        self, c: Tensor, low: Tensor, high: Tensor, radius: Tensor, lost: Tensor, *, slope: bool
    ) -> Answers:
        """The value as ``value`` gives it, and a cheaper upper bound, at most those over the ball alone and over the box alone."""

    @abstractmethod
    def draw(self, rng: ExampleRNG, shape: tuple[int, ...], dtype: torch.dtype, free: Tensor | None) -> Tensor:
        """Random points in units of the radius, often outside the ball, 0 where they are not ``free``, (B, *shape)."""

    def ascent(
        self, gradient: Tensor, low: Tensor, high: Tensor, radius: Tensor, rng: ExampleRNG | None, rounding: Side
    ) -> Tensor:
        """The step of steepest ascent from where ``low`` and ``high`` are the room, (B, 1, n)."""
        return self.farthest(gradient, low, high, radius)
