"""ℓp balls ∩ box as components, and the same with a radius for each example."""

from abc import ABC
from typing import TYPE_CHECKING, Self

import attrs
import torch
from torch import Tensor

from inradius import InputError, PerExample, ThreatModel
from inradius.components.validators import as_float, as_floats, box, radius
from inradius.sets.arithmetic.answers import rows_of
from inradius.sets.arithmetic.outward import above
from inradius.sets.box import Box, check_inside, room
from inradius.sets.examples import check_finite
from inradius.sets.norm import Norm
from inradius_lp.algorithms import NormAlgorithms
from inradius_lp.oracles import BoxedBall, Cell

if TYPE_CHECKING:
    import cvxpy


@attrs.frozen(kw_only=True)
class LpBall(NormAlgorithms, BoxedBall, ThreatModel, ABC):
    """A ball of one norm ∩ box, with the algorithms that answer for it."""

    positional = ("eps",)
    eps: float = attrs.field(validator=radius, converter=as_float)
    bounds: Box = attrs.field(default=(0.0, 1.0), validator=box, converter=as_floats)

    @property
    def ball(self) -> Self:
        return self

    @property
    def norm(self) -> Norm:
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

    def cell(self, rows: Tensor) -> Cell:
        # numbers, where BoxedBall has tensors: half of the sweeps
        if self.bounds is None:
            return BoxedBall.cell(self, rows)
        radius = min(self.eps, self.reach(rows))
        low, high = (self.bounds[0] - rows).clamp_(-radius, 0), (self.bounds[1] - rows).clamp_(0, radius)
        return low, high, self.radii(rows, radius)

    def reach(self, rows: Tensor) -> float:
        """A radius that holds the whole box: larger ones change nothing, but could overflow."""
        if self.bounds is None:
            return torch.finfo(rows.dtype).max
        return float(2 * (self.bounds[1] - self.bounds[0]) * rows.shape[-1] ** (1 / self.order))

    def scaled(self, factor: float) -> Self:
        return attrs.evolve(self, eps=self.eps * factor)

    def per_example(self, factors: Tensor) -> "BallPerExample":
        return BallPerExample(self, factors)

    def check_inputs(self, x: Tensor) -> None:
        check_finite(x)
        check_inside(x, self.bounds, self)

    def constraints(self, delta: "cvxpy.Variable", x: Tensor) -> "list[cvxpy.Constraint]":
        import cvxpy

        ball = cvxpy.norm(delta, "inf" if self.is_box else self.order) <= self.eps
        if self.bounds is None:
            return [ball]
        low, high = (side.flatten().double().cpu().numpy() for side in room(rows_of(x[None], x.dtype), self.bounds))
        return [ball, delta >= low, delta <= high]


class BallPerExample(BoxedBall, PerExample):
    """A ball ∩ box with a radius for each example; all examples at once."""

    def __init__(self, ball: LpBall, factors: Tensor) -> None:
        super().__init__(ball, factors)
        self._ball = ball
        # on the CPU, since not every device has float64
        self._radii = factors.detach().cpu().double() * ball.eps

    @property
    def ball(self) -> LpBall:
        return self._ball

    def radii(self, rows: Tensor, largest: float) -> Tensor:
        return self._own(rows).clamp(max=largest).to(rows.device, rows.dtype).view(-1, 1, 1)

    def outer_radii(self, rows: Tensor, largest: float) -> Tensor:
        found = [above(min(radius, largest), rows.dtype) for radius in self._own(rows).tolist()]
        return torch.tensor(found, dtype=rows.dtype, device=rows.device).view(-1, 1, 1)

    def _own(self, rows: Tensor) -> Tensor:
        """The radius of each example, (B,)."""
        if len(rows) != len(self._radii):
            raise InputError(f"{len(self._radii)} radii were given for {len(rows)} examples; allowed is one each")
        return self._radii
