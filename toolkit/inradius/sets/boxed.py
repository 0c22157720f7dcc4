"""A convex set within the box of valid inputs, from what is known of the set without the box."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

import attrs
import torch
from torch import Tensor

from inradius.components.validators import as_float, radius
from inradius.sets.arithmetic.pairing import dual_pairing
from inradius.sets.box import Box, check_inside
from inradius.sets.examples import check_finite, expand
from inradius.sets.intersecting.oracles import IntersectionOracles
from inradius.sets.limits import Limits, as_limits, box_of, limits
from inradius.sets.oracles import Oracles
from inradius.sets.threat_model import ThreatModel
from inradius.sets.unboxed import Unboxed
from inradius.sets.valid_box import ValidBox

if TYPE_CHECKING:
    import cvxpy


@attrs.frozen(kw_only=True)
class BoxedSet(IntersectionOracles, ThreatModel, ABC):
    """{δ : δ ∈ K(x), x + δ in ``bounds``} for a convex set K(x) of radius ``eps``, from the oracles of K(x) without the box.

    A subclass says how to project on K(x), its maximisers and its gauge, and keeps to K(x) alone: the methods named
    ``..._unboxed``, for a batch of δ or directions c (B, *S) around x (B, *S). From these come the oracles of the intersection:
    ``project`` and ``linear_max`` iterate until K(x) and the box agree, and answer with a point in the box of gauge at most 1;
    ``support`` is a dual value, an upper bound whatever the iteration did. Points are searched in float64 until they keep hard
    constraints of K(x) up to rounding, 4 (n + 2) units in the last place of δ's largest number for n numbers (at most a billionth
    of it, float32: a hundred thousandth), and count as members only where they do. With ``bounds=None`` the set is K(x).
    Source: eckstein1992.
    """

    positional = ("eps",)

    eps: float = attrs.field(validator=radius, converter=as_float)
    valid: Limits = attrs.field(default=(0.0, 1.0), alias="bounds", validator=limits, converter=as_limits)

    # a subclass whose K is −K at every x says True
    symmetric = False
    _steps, _stages = 120, 10
    _care = 1e-2

    @abstractmethod
    def project_unboxed(self, delta: Tensor, x: Tensor) -> Tensor:
        """The point of K(x) nearest to δ, (B, *S)."""

    @abstractmethod
    def linear_max_unboxed(self, c: Tensor, x: Tensor) -> Tensor:
        """A maximiser of ⟨c, δ⟩ over K(x), exact up to 2 units in the last place of each coordinate, (B, *S)."""

    @abstractmethod
    def gauge_unboxed(self, delta: Tensor, x: Tensor) -> Tensor:
        """The share of the radius that δ uses; 0 for δ = 0, and infinite for any other δ at radius 0, (B,)."""

    def support_unboxed(self, c: Tensor, x: Tensor) -> Tensor:
        """An upper bound on ⟨c, δ⟩ over K(x), rounding included, (B, *S) -> (B,); by default from the maximiser."""
        return dual_pairing(c.unsqueeze(1), self.linear_max_unboxed(c.detach(), x).unsqueeze(1))[:, 0]

    def violation_unboxed(self, delta: Tensor, x: Tensor) -> Tensor:
        """The distance to constraints that do not grow with the radius, rounding included, (B,); by default there are none."""
        return delta.new_zeros(len(delta))

    def constraints_unboxed(self, delta: "cvxpy.Variable", x: Tensor) -> "list[cvxpy.Constraint]":
        """δ ∈ K(x) as cvxpy constraints on a variable of one example's flattened size; x is one example, (*S)."""
        return Oracles.constraints(self, delta, x)

    @property
    def bounds(self) -> Box:
        return box_of(self.valid)

    @property
    def radius(self) -> float:
        return self.eps

    def _joined(self) -> tuple[Oracles, ...]:
        return (Unboxed(self),) if self.valid is None else (Unboxed(self), ValidBox(self.bounds))

    def project(self, delta: Tensor, x: Tensor) -> Tensor:
        return self._settled(IntersectionOracles.project(self, delta, x), x)

    def linear_max(self, c: Tensor, x: Tensor) -> Tensor:
        return self._settled(IntersectionOracles.linear_max(self, c, x), x)

    def _precision(self, dtype: torch.dtype, x: Tensor) -> torch.dtype:
        return torch.float32 if x.device.type == "mps" else torch.float64

    def _settled(self, delta: Tensor, x: Tensor) -> Tensor:
        """The points moved into the box, unless that breaks a constraint of K(x), and to a gauge of at most 1, (B, *S)."""
        if self.valid is None:
            return delta
        kept = ValidBox(self.bounds).project(delta, x)
        # what the box cuts is rounding error, but K(x) may be narrower than that
        kept = torch.where(expand(self.violation(kept, x) > self.violation(delta, x), kept), delta, kept)
        gauge = self.gauge(kept, x)
        shrink = (1 - 2 * torch.finfo(kept.dtype).eps) / gauge
        return kept * expand(torch.where((gauge > 1) & gauge.isfinite(), shrink, 1.0), kept)

    def constraints(self, delta: "cvxpy.Variable", x: Tensor) -> "list[cvxpy.Constraint]":
        box = [] if self.valid is None else ValidBox(self.bounds).constraints(delta, x)
        return [*self.constraints_unboxed(delta, x), *box]

    def scaled(self, factor: float) -> Self:
        return attrs.evolve(self, eps=self.eps * factor)

    def check_inputs(self, x: Tensor) -> None:
        check_finite(x)
        check_inside(x, self.bounds, self)
