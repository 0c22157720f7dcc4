"""A box of perturbations, with sides of their own for each feature."""

from typing import TYPE_CHECKING, Self

import attrs
import torch
from torch import Tensor

from inradius import ExampleRNG, InputError, ThreatModel
from inradius.components.validators import as_float, radius
from inradius.sets.arithmetic.answers import point, rows_of
from inradius.sets.arithmetic.outward import raised_product
from inradius.sets.arithmetic.precision import upward
from inradius.sets.arithmetic.rooms import outer_room
from inradius.sets.arithmetic.sides import row_box
from inradius.sets.box import Box as Bounds
from inradius.sets.box import check_inside, corner, room
from inradius.sets.box_oracles import SidedBoxOracles
from inradius.sets.examples import check_finite
from inradius.sets.limits import Limits, as_limits, box_of, limits
from inradius.sets.numbers import Numbers, as_numbers, numbers, spread

if TYPE_CHECKING:
    import cvxpy


@attrs.frozen(kw_only=True)
class Box(SidedBoxOracles, ThreatModel):
    """{δ : scale · lo ≤ δ ≤ scale · hi, x + δ in ``bounds``}, lo ≤ 0 ≤ hi; every oracle is exact.

    ``lo`` and ``hi``, in units of the inputs, are each one number for all coordinates, a tuple with one for each channel
    (feature) of the inputs, or the name of a ``.npy`` file with an array of an input's shape. The radius is ``scale``.
    """

    positional = ("lo", "hi")

    lo: Numbers = attrs.field(validator=numbers, converter=as_numbers)
    hi: Numbers = attrs.field(validator=numbers, converter=as_numbers)
    scale: float = attrs.field(default=1.0, validator=radius, converter=as_float)
    valid: Limits = attrs.field(default=(0.0, 1.0), alias="bounds", validator=limits, converter=as_limits)

    @property
    def bounds(self) -> Bounds:
        return box_of(self.valid)

    @property
    def symmetric(self) -> bool:
        return _negated(self.lo, self.hi)

    def steepest(self, gradient: Tensor, x: Tensor, delta: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        # the room within bounds is left to the projection: a share of a step that it cuts would creep towards the bound
        low, high = self._sides(rows_of(x, x.dtype), x)
        return point(corner, gradient, x, low.expand(len(x), -1, -1), high.expand(len(x), -1, -1))

    def constraints(self, delta: "cvxpy.Variable", x: Tensor) -> "list[cvxpy.Constraint]":
        low, high = (side.flatten().double().cpu().numpy() for side in self._cell(x[None], x.dtype))
        return [delta >= low, delta <= high]

    def scaled(self, factor: float) -> Self:
        return attrs.evolve(self, scale=self.scale * factor)

    def check_inputs(self, x: Tensor) -> None:
        check_finite(x)
        check_inside(x, self.bounds, self)
        for side, sign in (("lo", -1), ("hi", 1)):
            wrong = spread(getattr(self, side), x) * sign < 0
            if bool(wrong.any()):
                allowed = "lo ≤ 0 ≤ hi, since δ = 0 is a member"
                raise InputError(
                    f"{side} is on the wrong side of 0 for {int(wrong.sum())} features; allowed is {allowed}"
                )

    def __attrs_post_init__(self) -> None:
        for side, sign in (("lo", -1), ("hi", 1)):
            value = getattr(self, side)
            if not isinstance(value, str) and any(
                v * sign < 0 for v in (value if isinstance(value, tuple) else (value,))
            ):
                raise ValueError(f"{side}={value!r} is on the wrong side of 0; allowed is lo ≤ 0 ≤ hi")

    def _sides(self, rows: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """scale · lo and scale · hi beside rows, two of (1, 1, n)."""
        shape = x.shape[1:]
        low, high = (spread(v, x).mul(self.scale).expand(shape).reshape(1, 1, -1) for v in (self.lo, self.hi))
        return low.to(rows), high.to(rows)

    def _cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        rows = rows_of(x, torch.promote_types(x.dtype, dtype))
        low, high = room(rows, row_box(self.bounds, x))
        least, most = self._sides(rows, x)
        return torch.maximum(low, least), torch.minimum(high, most)

    def _outer_cell(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        rows = rows_of(x, torch.promote_types(x.dtype, dtype))
        low, high = outer_room(rows, row_box(self.bounds, x))
        down, up = (upward(self._outer_side(side, x), rows.dtype).to(rows.device) for side in (self.lo, self.hi))
        return torch.maximum(low, -down), torch.minimum(high, up)

    def _outer_side(self, side: Numbers, x: Tensor) -> Tensor:
        """scale · |side| rounded up, in float64, (1, 1, n)."""
        return raised_product(spread(side, x).abs(), self.scale).expand(x.shape[1:]).reshape(1, 1, -1)


def _negated(low: Numbers, high: Numbers) -> bool:
    """True where lo = −hi; files are taken to differ."""
    if isinstance(low, str) or isinstance(high, str):
        return False
    wide = max(len(v) if isinstance(v, tuple) else 1 for v in (low, high))
    lows, highs = ((v if isinstance(v, tuple) else (v,) * wide) for v in (low, high))
    return len(lows) == len(highs) and all(a == -b for a, b in zip(lows, highs, strict=True))
