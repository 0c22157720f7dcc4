"""The smallest set that keeps every law."""

import attrs
import torch

from inradius import ThreatModel


@attrs.frozen(kw_only=True)
class Cube(ThreatModel):
    """|δ_i| ≤ eps; it overrides only what is abstract."""

    eps: float = 1.0

    convex = tight = symmetric = True

    def project(self, delta, x):
        return delta.clamp(-self.eps, self.eps)

    def linear_max(self, c, x):
        return c.sign() * self.eps

    def gauge(self, delta, x):
        size = delta.flatten(1).abs().amax(1)
        return torch.where(size == 0, 0.0, size / self.eps)

    def scaled(self, factor):
        return attrs.evolve(self, eps=self.eps * factor)

    def constraints(self, delta, x):
        return [delta <= self.eps, delta >= -self.eps]
