"""A layer with the rule by which bounds pass it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inradius import ActivationRule, Operator


class AcmeName(nn.Module):
    """z → z / (1 + |z|), elementwise."""

    def forward(self, z: Tensor) -> Tensor:
        return z / (1 + z.abs())


class AcmeNameRule(ActivationRule):
    """z / (1 + |z|): rising, convex below 0 and concave above."""

    def turns(self, op: Operator, slope: Tensor) -> Sequence[Tensor]:
        # f′(z) = 1 / (1 + |z|)² is the slope at |z| = 1 / √slope − 1
        inside = (slope > 0) & (slope < 1)
        z = torch.where(inside, 1 / torch.where(inside, slope, 0.25).sqrt() - 1, torch.nan)
        return [z, -z]

    def slope(self, op: Operator, z: Tensor) -> Tensor:
        return 1 / (1 + z.abs()).square()
