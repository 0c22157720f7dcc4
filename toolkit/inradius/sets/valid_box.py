"""The box of valid inputs as a set of perturbations, of any radius."""

from typing import TYPE_CHECKING, Self, final

import attrs
import torch
from torch import Tensor

from inradius.sets.affine_operator import AffineOperator
from inradius.sets.arithmetic.answers import point, room_span, rows_of, value_in_room
from inradius.sets.arithmetic.precision import upward
from inradius.sets.arithmetic.rooms import corners, lost_in, outer_room, within
from inradius.sets.arithmetic.sides import row_box
from inradius.sets.box import Box, corner, excess, room
from inradius.sets.oracles import Oracles

if TYPE_CHECKING:
    import cvxpy


@final
@attrs.frozen(eq=False)
class ValidBox(Oracles):
    """{δ : x + δ in ``bounds``}; every oracle is exact, and the gauge is 0, as the box has no radius."""

    bounds: Box

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

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        return delta.new_zeros(len(delta))

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

    def constraints(self, delta: "cvxpy.Variable", x: Tensor) -> "list[cvxpy.Constraint]":
        low, high = (side.flatten().cpu().numpy() for side in room(x[None].double(), self.bounds))
        return [delta >= low, delta <= high]

    def select(self, index: Tensor) -> Self:
        return self

    def members(self) -> tuple[Oracles, ...]:
        return (self,)

    def _cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        return room(rows_of(x, torch.promote_types(x.dtype, dtype)), row_box(self.bounds, x))

    def _outer_cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The room of each coordinate, no smaller than it is, two of (B, 1, n)."""
        return outer_room(rows_of(x, torch.promote_types(x.dtype, dtype)), row_box(self.bounds, x))
