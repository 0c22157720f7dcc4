"""Which norm a set measures, asked of its gauge alone."""

import math

import attrs
import torch
from torch import Tensor

from inradius import Oracles
from inradius.threat import expand

# the norms that an algorithm here is made for
_ORDERS = (1.0, 2.0, math.inf)


@attrs.frozen(eq=False)
class Shape:
    """A ball's norm and its radius for each example (B,)."""

    order: float
    radius: Tensor

    def take(self, index: Tensor) -> "Shape":
        """That of the examples in ``index``."""
        return Shape(self.order, self.radius[index])

    def length(self, delta: Tensor, *, dim: int | tuple[int, ...]) -> Tensor:
        """The norm over some axes, which are kept."""
        length: Tensor = torch.linalg.vector_norm(delta, ord=self.order, dim=dim, keepdim=True)
        return length


def shape_of(threat: Oracles, x: Tensor) -> Shape | None:
    """The ball that a set is within its hard constraints, None for a set that is no ℓ1, ℓ2 or ℓ∞ ball.

    The gauge of an ℓp ball of radius r is ‖δ‖_p / r, whoever wrote the set: it is compared at a corner, at a unit vector
    and at a ramp of either sign.
    """
    size = x.shape[1:].numel()
    if not threat.convex or len(threat.parts()) > 1 or size < 2:
        return None
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    ramp = torch.linspace(-1.0, 2.0, size, dtype=x.dtype, device=x.device)
    unit = torch.zeros_like(ramp)
    unit[0] = 1
    probes = [torch.ones_like(ramp), unit, ramp]
    gauges = [threat.gauge(probe.view(x.shape[1:]).expand_as(x), x) for probe in probes]
    for order in _ORDERS:
        radii = [torch.linalg.vector_norm(p, ord=order) / g for p, g in zip(probes, gauges, strict=True)]
        alike = all(torch.allclose(radii[0], other, rtol=1e-4, atol=0.0) for other in radii[1:])
        if alike and bool((radii[0] > 0).any()):
            return Shape(order, radii[0])
    return None


def scale_to(delta: Tensor, shape: Shape) -> Tensor:
    """The perturbation at the ball's radius, 0 where it is 0, (B, *S)."""
    length = shape.length(delta.flatten(1), dim=1).squeeze(1)
    factor = torch.where(length > 0, shape.radius.to(length) / length, torch.zeros_like(length))
    return delta * expand(factor, delta)
