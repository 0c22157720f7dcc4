"""ℓp balls ∩ box as components, and the same with a radius for each example."""

from abc import ABC
from typing import TYPE_CHECKING, Self

import attrs
import torch
from torch import Tensor

from inradius import InputError, PerExample, ThreatModel
from inradius.components.validators import as_float, radius
from inradius.sets.arithmetic.answers import rows_of
from inradius.sets.arithmetic.outward import above
from inradius.sets.arithmetic.sides import width
from inradius.sets.box import Box, check_inside
from inradius.sets.examples import check_finite
from inradius.sets.limits import Limits, as_limits, box_of, limits
from inradius.sets.norm import Norm
from inradius_lp.algorithms import NormAlgorithms
from inradius_lp.mask import as_mask, free, mask, masks_examples, of_examples, within_mask
from inradius_lp.oracles import BoxedBall, Cell

if TYPE_CHECKING:
    import cvxpy


@attrs.frozen(kw_only=True)
class LpBall(NormAlgorithms, BoxedBall, ThreatModel, ABC):
    """A ball of one norm ∩ box, with the algorithms that answer for it.

    ``bounds`` has for either side a number, a list with one for each channel or feature, or the name of a ``.npy`` file with one
    for each coordinate. ``mask`` names a ``.npy`` file of zeros and ones: δ = 0 where it is 0. It has an input's shape, or one
    that broadcasts against it, or a further first axis with a mask for each example of the data.
    """

    positional = ("eps",)
    eps: float = attrs.field(validator=radius, converter=as_float)
    valid: Limits = attrs.field(default=(0.0, 1.0), alias="bounds", validator=limits, converter=as_limits)
    mask: str | None = attrs.field(default=None, validator=mask, converter=as_mask)

    @property
    def ball(self) -> Self:
        return self

    @property
    def bounds(self) -> Box:
        return box_of(self.valid)

    @property
    def norm(self) -> Norm | None:
        return self.measure if self.mask is None else None

    @property
    def measure(self) -> Norm:
        return Norm(self.order)

    @property
    def radius(self) -> float:
        return self.eps

    @property
    def symmetric(self) -> bool:
        return True

    def radii(self, rows: Tensor, largest: float) -> Tensor:
        return torch.full((1, 1, 1), min(self.eps, largest), dtype=rows.dtype, device=rows.device)

    def outer_radii(self, rows: Tensor, largest: float) -> Tensor:
        radius = above(min(self.eps, largest), rows.dtype)
        return torch.full((1, 1, 1), radius, dtype=rows.dtype, device=rows.device)

    def free(self, x: Tensor) -> Tensor | None:
        return free(self.mask, x)

    def cell(self, x: Tensor, dtype: torch.dtype) -> Cell:
        box = self.bounds
        if box is None or isinstance(box[0], Tensor) or isinstance(box[1], Tensor):
            return BoxedBall.cell(self, x, dtype)
        # numbers, where BoxedBall has tensors: half of the sweeps
        rows = rows_of(x, torch.promote_types(x.dtype, dtype))
        radius = min(self.eps, self.reach(rows))
        low, high = (box[0] - rows).clamp_(-radius, 0), (box[1] - rows).clamp_(0, radius)
        return *within_mask(low, high, self.free(x)), self.radii(rows, radius)

    def reach(self, rows: Tensor) -> float:
        if self.valid is None:
            return torch.finfo(rows.dtype).max
        return float(2 * width(self.bounds) * rows.shape[-1] ** (1 / self.order))

    def scaled(self, factor: float) -> Self:
        return attrs.evolve(self, eps=self.eps * factor)

    def per_example(self, factors: Tensor) -> "BallPerExample":
        return BallPerExample(self, factors, None)

    def at(self, index: Tensor, x: Tensor) -> "LpBall | BallPerExample":
        if self.mask is None or not masks_examples(self.mask, x):
            return self
        return BallPerExample(self, torch.ones(len(index)), index)

    def check_inputs(self, x: Tensor) -> None:
        check_finite(x)
        check_inside(x, self.bounds, self)
        if self.mask is not None:
            masks_examples(self.mask, x)

    def constraints(self, delta: "cvxpy.Variable", x: Tensor) -> "list[cvxpy.Constraint]":
        import cvxpy

        ball = cvxpy.norm(delta, "inf" if self.is_box else self.order) <= self.eps
        if self.valid is None and self.mask is None:
            return [ball]
        low, high, _ = (side.flatten().cpu().numpy() for side in self.cell(x[None].double(), torch.float64))
        return [ball, delta >= low, delta <= high]


class BallPerExample(BoxedBall, PerExample):
    """A ball ∩ box with a radius for each example, and a mask for each where it has those; all examples at once.

    ``index`` (B,) are the examples' numbers in the data, None where they are not known.
    """

    def __init__(self, ball: LpBall, factors: Tensor, index: Tensor | None) -> None:
        super().__init__(ball, factors)
        self._ball, self._index = ball, index
        # on the CPU, since not every device has float64
        self._radii = factors.detach().cpu().double() * ball.eps

    @property
    def ball(self) -> LpBall:
        return self._ball

    def free(self, x: Tensor) -> Tensor | None:
        mask = self._ball.mask
        if mask is None or self._index is None or not masks_examples(mask, x):
            return self._ball.free(x)
        own = of_examples(mask, self._own(x, self._index))
        return own.expand(x.shape).reshape(len(x), 1, -1).to(x.device)

    def at(self, index: Tensor, x: Tensor) -> "BallPerExample":
        return self if self._index is not None else BallPerExample(self._ball, self.factors, index)

    def per_example(self, factors: Tensor) -> "BallPerExample":
        return BallPerExample(self._ball, self.multiplied(factors), self._index)

    def select(self, index: Tensor) -> "BallPerExample":
        return BallPerExample(
            self._ball, self.factors[index], None if self._index is None else self._index[index.to(self._index.device)]
        )

    def members(self) -> "tuple[BallPerExample]":
        return (self,)

    def radii(self, rows: Tensor, largest: float) -> Tensor:
        return self._own(rows, self._radii).clamp(max=largest).to(rows.device, rows.dtype).view(-1, 1, 1)

    def outer_radii(self, rows: Tensor, largest: float) -> Tensor:
        found = [above(min(radius, largest), rows.dtype) for radius in self._own(rows, self._radii).tolist()]
        return torch.tensor(found, dtype=rows.dtype, device=rows.device).view(-1, 1, 1)

    def _own(self, rows: Tensor, values: Tensor) -> Tensor:
        """The value of each example, (B,)."""
        if len(rows) != len(values):
            raise InputError(f"{len(values)} radii were given for {len(rows)} examples; allowed is one each")
        return values
