"""The box of valid inputs as a set of perturbations, of any radius."""

from typing import TYPE_CHECKING, Self, final

import attrs
import torch
from torch import Tensor

from inradius.sets.arithmetic.answers import rows_of
from inradius.sets.arithmetic.rooms import outer_room
from inradius.sets.arithmetic.sides import row_box
from inradius.sets.box import Box, room
from inradius.sets.box_oracles import BoxOracles
from inradius.sets.oracles import Oracles

if TYPE_CHECKING:
    import cvxpy


@final
@attrs.frozen(eq=False)
class ValidBox(BoxOracles):
    """{δ : x + δ in ``bounds``}; every oracle is exact, and the gauge is 0, as the box has no radius."""

    bounds: Box

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        return delta.new_zeros(len(delta))

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
        return outer_room(rows_of(x, torch.promote_types(x.dtype, dtype)), row_box(self.bounds, x))
