"""A set: all features of an input move by the same amount."""

from typing import TYPE_CHECKING, Self

import attrs
import torch
from torch import Tensor

from inradius import ThreatModel
from inradius.components import validators
from inradius.components.validators import as_float

if TYPE_CHECKING:
    import cvxpy


@attrs.frozen(kw_only=True)
class AcmeName(ThreatModel):
    """δ = s on all features, |s| ≤ eps, with x + δ between the two ``bounds``; eps is in the units of the inputs.

    Every oracle has a closed form here, because the set is a segment. Where the intersection with the box has none,
    ``inradius.BoxedSet`` makes the oracles from those of the set without the box.
    """

    positional = ("eps",)
    convex = symmetric = tight = True

    eps: float = attrs.field(validator=validators.radius, converter=as_float)
    bounds: tuple[float, float] = attrs.field(default=(0.0, 1.0), validator=validators.box)

    def project(self, delta: Tensor, x: Tensor) -> Tensor:
        low, high = self._ends(x)
        return _spread(delta.flatten(1).mean(1).clamp(low, high), x)

    def linear_max(self, c: Tensor, x: Tensor) -> Tensor:
        low, high = self._ends(x)
        return _spread(torch.where(c.flatten(1).sum(1) < 0, low, high), x)

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        size = delta.flatten(1).abs().amax(1)
        return torch.where(size == 0, 0, size / self.eps)

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        # what does not grow with the radius: all features move alike, and inputs stay valid
        uneven = delta.flatten(1).amax(1) - delta.flatten(1).amin(1)
        moved = (x + delta).flatten(1)
        outside = (self.bounds[0] - moved).maximum(moved - self.bounds[1]).amax(1).clamp(min=0)
        return uneven.maximum(outside)

    def scaled(self, factor: float) -> Self:
        return attrs.evolve(self, eps=self.eps * factor)

    def constraints(self, delta: "cvxpy.Variable", x: Tensor) -> "list[cvxpy.Constraint]":
        # optional: with it the laws compare the oracles with a solver
        low, high = (float(end) for end in self._ends(x[None]))
        return [delta >= low, delta <= high, delta[1:] == delta[0]]

    def _ends(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The least and the largest s for each example, two of (B,)."""
        flat = x.flatten(1)
        low = (self.bounds[0] - flat.amin(1)).clamp(min=-self.eps)
        high = (self.bounds[1] - flat.amax(1)).clamp(max=self.eps)
        return low.clamp(max=0), high.clamp(min=0)


def _spread(s: Tensor, x: Tensor) -> Tensor:
    """A number for each example on all of its features, (B,) -> (B, *S)."""
    return s.view(-1, *(1,) * (x.ndim - 1)).expand_as(x).clone()
