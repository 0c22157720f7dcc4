"""The oracles of a set that is a box of perturbations, from its sides."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from inradius.sets.affine_operator import AffineOperator
from inradius.sets.arithmetic.answers import point, room_span, value_in_room
from inradius.sets.arithmetic.precision import upward
from inradius.sets.arithmetic.rooms import corners, lost_in, within
from inradius.sets.box import corner, excess
from inradius.sets.oracles import Oracles


class BoxOracles(Oracles, ABC):
    """{δ : low(x) ≤ δ ≤ high(x)} for sides that may depend on x; every oracle is exact."""

    @abstractmethod
    def _cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The sides low and high for inputs x (B, *S), in the wider of its type and ``dtype``, two of (B, 1, n)."""

    @abstractmethod
    def _outer_cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The sides, rounded outwards, two of (B, 1, n)."""

    @property
    def convex(self) -> bool:
        return True

    @property
    def tight(self) -> bool:
        return True

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
        low, high = self._outer_cell(x, x.dtype)
        return -upward(-low, x.dtype).view(x.shape), upward(high, x.dtype).view(x.shape)

    def bound_affine(self, op: AffineOperator, x: Tensor) -> tuple[Tensor, Tensor]:
        if not op.exact_interval:
            return Oracles.bound_affine(self, op, x)
        return op.interval(*corners(x, *self._outer_cell(x, x.dtype), self.bounds))
