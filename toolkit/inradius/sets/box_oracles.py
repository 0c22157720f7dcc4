"""The oracles of a set that is a box of perturbations, from its sides."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from inradius.rng import ExampleRNG
from inradius.sets.affine_operator import AffineOperator
from inradius.sets.arithmetic.answers import point, room_span, rows_of, value_in_room
from inradius.sets.arithmetic.rooms import corners, lost_in, middle_and_half, outward, within
from inradius.sets.box import corner, excess
from inradius.sets.oracles import Oracles
from inradius.sets.tight_convex import TightConvexOracles


class BoxOracles(TightConvexOracles, ABC):
    """{δ : low(x) ≤ δ ≤ high(x)} for sides that may depend on x; every oracle is exact."""

    @abstractmethod
    def _cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The sides low and high for inputs x (B, *S), in the wider of its type and ``dtype``, two of (B, 1, n)."""

    @abstractmethod
    def _outer_cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The sides, rounded outwards, two of (B, 1, n)."""

    @property
    def is_box(self) -> bool:
        return True

    def project(self, delta: Tensor, x: Tensor) -> Tensor:
        return point(torch.clamp, delta, x, *self._cell(x, delta.dtype))

    def linear_max(self, c: Tensor, x: Tensor) -> Tensor:
        return point(corner, c, x, *self._cell(x, c.dtype))

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        return excess(delta, x, self.bounds)

    def support(self, c: Tensor, x: Tensor) -> Tensor:
        low, high = self._outer_cell(x, c.dtype)
        return value_in_room(within, c, low, high, lost_in(low, high))

    def span(self, c: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self._outer_cell(x, c.dtype)
        return room_span(c, low, high, lost_in(low, high))

    def hull(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return outward(*self._outer_cell(x, x.dtype), x)

    def bound_affine(self, op: AffineOperator, x: Tensor) -> tuple[Tensor, Tensor]:
        if not op.exact_interval:
            return Oracles.bound_affine(self, op, x)
        return op.interval(*corners(x, *self._outer_cell(x, x.dtype), self.bounds))


class SidedBoxOracles(BoxOracles, ABC):
    """A box of perturbations whose own sides enclose 0; the gauge is the share of a side that δ uses."""

    @abstractmethod
    def _sides(self, rows: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The set's own sides low ≤ 0 ≤ high without the box of valid inputs, in the type of rows, two of (1 or B, 1, n)."""

    def sample(self, x: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        rng = rng or ExampleRNG(0, torch.arange(len(x), device=x.device))
        low, high = (side.view(x.shape).to(x.dtype) for side in self._cell(x, x.dtype))
        # beyond the sides for a fifth of the coordinates, so that faces are tried too
        there = 1.25 * rng.uniform(tuple(x.shape[1:]), dtype=x.dtype).to(x) - 0.125
        return self.project(low + there * (high - low), x)

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        """The largest share of its side that a coordinate of δ uses, (B,)."""
        rows = rows_of(delta, torch.promote_types(delta.dtype, x.dtype))
        low, high = self._sides(rows, x)
        side = torch.where(rows > 0, high, low.abs())
        return torch.where(rows == 0, rows, rows.abs() / side).amax(-1)[:, 0].to(delta.dtype)

    def sketch(self, x: Tensor) -> tuple[Tensor, Tensor, float]:
        middle, half = middle_and_half(*self._outer_cell(x, x.dtype), x.dtype)
        return middle.view(x.shape), half.view(x.shape), 1.0
