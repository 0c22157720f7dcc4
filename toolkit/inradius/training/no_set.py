"""The set of a run whose method uses none."""

from typing import Self

import attrs
import torch
from torch import Tensor

from inradius.sets.threat_model import ThreatModel
from inradius.sets.tight_convex import TightConvexOracles


@attrs.frozen(kw_only=True)
class NoSet(TightConvexOracles, ThreatModel):
    """Δ(x) = {0}: the set that ``train`` gives to a method where the caller gave none."""

    @property
    def symmetric(self) -> bool:
        return True

    def project(self, delta: Tensor, x: Tensor) -> Tensor:
        return torch.zeros_like(delta)

    def linear_max(self, c: Tensor, x: Tensor) -> Tensor:
        return torch.zeros_like(c)

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        moved = (delta.flatten(1) != 0).any(1)
        return delta.new_zeros(len(delta)).masked_fill(moved, torch.inf)

    def scaled(self, factor: float) -> Self:
        return self
