"""The norm and the radii of a set that is a ball."""

import math

import attrs
import torch
from torch import Tensor

from inradius import Oracles
from inradius.sets.examples import expand

# the norms that an algorithm here is made for
_ORDERS = (1.0, 2.0, math.inf)


@attrs.frozen(eq=False)
class Shape:
    """A ball's norm and its radius for each example (B,)."""

    order: float
    radius: Tensor

    def take(self, index: Tensor) -> "Shape":
        """The norm with the radii of the examples in ``index``."""
        return Shape(self.order, self.radius[index])

    def length(self, delta: Tensor, *, dim: int | tuple[int, ...]) -> Tensor:
        """The norm of δ over some axes, which stay with length 1."""
        length: Tensor = torch.linalg.vector_norm(delta, ord=self.order, dim=dim, keepdim=True)
        return length


def shape_of(threat: Oracles, x: Tensor) -> Shape | None:
    """The norm and the radii of a set that is a ball ∩ box; None for a set that is no ℓ1, ℓ2 or ℓ∞ ball, and if all radii are 0."""
    if threat.norm is None or threat.norm.order not in _ORDERS:
        return None
    known = torch.as_tensor(threat.radius, dtype=torch.float64)
    radius = known.to(x.device, torch.promote_types(x.dtype, torch.float32)).expand(len(x))
    return Shape(threat.norm.order, radius) if bool((radius > 0).any()) else None


def scale_to(delta: Tensor, shape: Shape) -> Tensor:
    """The perturbation at the ball's radius, 0 where it is 0, (B, *S)."""
    length = shape.length(delta.flatten(1), dim=1).squeeze(1)
    factor = torch.where(length > 0, shape.radius.to(length) / length, torch.zeros_like(length))
    return delta * expand(factor, delta)
