"""Boxes of perturbations with sides of their own for each example, as input files state and searches split them."""

from typing import TYPE_CHECKING, final

import attrs
import torch
from torch import Tensor

from inradius.errors import InputError
from inradius.sets.arithmetic.answers import rows_of
from inradius.sets.arithmetic.bits import stored
from inradius.sets.arithmetic.outward import raised_sum, smallest
from inradius.sets.arithmetic.precision import upward
from inradius.sets.box_oracles import SidedBoxOracles

if TYPE_CHECKING:
    import cvxpy


@final
@attrs.frozen(eq=False)
class BoxRegion(SidedBoxOracles):
    """{δ : low ≤ δ ≤ high} with low ≤ 0 ≤ high, both (B, *S): a box of its own for each example; every oracle is exact.

    It has no radius besides its sides, so the gauge is the largest share of a side that δ uses.
    It holds tensors, so it is no component and has no spec. Raises ``InputError`` for sides that are no such tensors.
    """

    low: Tensor
    high: Tensor

    def __attrs_post_init__(self) -> None:
        sides = (self.low, self.high)
        if any(not isinstance(side, Tensor) or not side.is_floating_point() for side in sides):
            raise InputError(
                "the sides of a region are not two tensors of floating-point numbers; allowed are those alone"
            )
        if self.low.shape != self.high.shape or self.low.dtype != self.high.dtype or self.low.ndim < 2:
            told = " and ".join(f"{side.dtype} {tuple(side.shape)}" for side in sides)
            raise InputError(f"the sides of a region are {told}; allowed are two of one type and one shape (B, *S)")
        if not bool(((self.low <= 0) & (self.high >= 0)).all()):
            raise InputError("a region has sides that do not enclose δ = 0; allowed is low ≤ 0 ≤ high")

    @classmethod
    def between(cls, lower: Tensor, upper: Tensor, x: Tensor) -> "BoxRegion":
        """The region lower ≤ x + δ ≤ upper around x, all (B, *S) of one type, rounded outward. x lies between the sides."""
        return cls(-raised_sum(x, -lower).clamp(min=0), raised_sum(upper, -x).clamp(min=0))

    def __str__(self) -> str:
        return f"a box of its own for each of {len(self.low)} examples"

    def constraints(self, delta: "cvxpy.Variable", x: Tensor) -> "list[cvxpy.Constraint]":
        if len(self.low) != 1:
            raise InputError(
                f"the region has {len(self.low)} examples; allowed is one, as in select(torch.tensor([0]))"
            )
        low, high = (side.flatten().double().cpu().numpy() for side in (self.low, self.high))
        return [delta >= low, delta <= high]

    def select(self, index: Tensor) -> "BoxRegion":
        return BoxRegion(self.low[index.to(self.low.device)], self.high[index.to(self.low.device)])

    def members(self) -> "tuple[BoxRegion, ...]":
        return (self,)

    def _repeated(self, count: int) -> "BoxRegion":
        return BoxRegion(*(side.repeat_interleave(count, dim=0) for side in (self.low, self.high)))

    def _rows(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """x, low and high as rows, the sides in their own type, three of (B, 1, n)."""
        if self.low.shape != x.shape:
            raise InputError(
                f"the region has sides of shape {tuple(self.low.shape)} for inputs of shape {tuple(x.shape)}; allowed is one shape"
            )
        low, high = (side.detach().reshape(len(x), 1, -1) for side in (self.low, self.high))
        return rows_of(x, torch.promote_types(x.dtype, dtype)), low, high

    def _cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        rows, low, high = self._rows(x, dtype)
        return upward(low, rows.dtype).to(rows.device), -upward(-high, rows.dtype).to(rows.device)

    def _sides(self, rows: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._cell(x, rows.dtype)

    def _outer_cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        rows, low, high = self._rows(x, dtype)
        return -_normal(-low, rows), _normal(high, rows)


def _normal(side: Tensor, like: Tensor) -> Tensor:
    """Numbers ≥ 0 in the type and on the device of ``like``, rounded up, each 0 or a number that no kernel takes for 0."""
    return torch.where(stored(side), upward(side, like.dtype).clamp(min=smallest(like.dtype)), 0).to(like.device)
