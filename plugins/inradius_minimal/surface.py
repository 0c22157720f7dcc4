"""The surface of a set at a radius of its own for each example."""

import torch
from torch import Tensor

from inradius import Oracles
from inradius.sets.examples import expand
from inradius.sets.norm import L2


def on_surface(threat: Oracles, moved: Tensor, x: Tensor, radius: Tensor) -> Tensor:
    """The point of gauge ``radius`` (n,) along ``moved`` (n, *S), or nearest to it, as far as the hard constraints allow."""
    ball = threat.per_example(radius)
    gauge = ball.gauge(moved, x)
    # what lies outside of an ℓ2 ball is nearest to the point on its ray: then the projection has the box left to do
    scaled = (gauge > 0) & ((gauge < 1) | (threat.measure == L2)) & torch.isfinite(gauge)
    return ball.project(moved * expand(torch.where(scaled, 1 / gauge, 1.0), moved), x)
