"""Sets, attacks and closed forms for the tests of minimal-norm attacks."""

import attrs
import torch
from gradient_cases import images, labelled, linear, perceptron, threat_of
from torch import Tensor, nn

import inradius
from inradius import Attack, ExampleRNG, ThreatModel

__all__ = ["images", "labelled", "linear", "perceptron", "threat_of"]

SETS = [
    "linf(eps=0.2)",
    "l2(eps=0.5)",
    "l1(eps=1.0)",
    "linf(eps=0.2, bounds=None)",
    "l2(eps=0.5, bounds=None)",
    "l1(eps=1.0, bounds=None)",
]


def attack_of(spec):
    return inradius.make(spec, Attack)


@attrs.frozen(kw_only=True)
class Tilted(ThreatModel):
    """{δ : Σ wᵢ |δᵢ| ≤ eps} with growing weights, as a stranger writes it: no ray, no radius of its own for each example."""

    eps: float = attrs.field()
    convex = symmetric = tight = True

    def _weights(self, x: Tensor) -> Tensor:
        return torch.linspace(1, 2, x[0].numel(), dtype=x.dtype)

    def project(self, delta, x):
        rows, weights = delta.flatten(1), self._weights(x)
        low, high = torch.zeros(len(rows), 1, dtype=x.dtype), (rows.abs() / weights).amax(1, keepdim=True)
        inside = (rows.abs() * weights).sum(1, keepdim=True) <= self.eps
        for _ in range(80):
            middle = (low + high) / 2
            over = ((rows.abs() - middle * weights).clamp(min=0) * weights).sum(1, keepdim=True) > self.eps
            low, high = torch.where(over, middle, low), torch.where(over, high, middle)
        near = (rows.abs() - high * weights).clamp(min=0).copysign(rows)
        return torch.where(inside, rows, near).view_as(delta)

    def linear_max(self, c, x):
        rows, weights = c.flatten(1), self._weights(x)
        place = (rows.abs() / weights).argmax(1, keepdim=True)
        amount = (self.eps / weights[place]).copysign(rows.gather(1, place))
        return torch.zeros_like(rows).scatter(1, place, amount).view_as(c)

    def gauge(self, delta, x):
        size = (delta.flatten(1).abs() * self._weights(x)).sum(1)
        return size / self.eps if self.eps else torch.where(size > 0, torch.inf, size)

    def scaled(self, factor):
        return attrs.evolve(self, eps=self.eps * factor)


def least_gauges(model: nn.Linear, x: Tensor, y: Tensor, threat: ThreatModel) -> Tensor:
    """The smallest gauge at which a linear model is fooled, by bisection on the support function, (B,)."""
    rows = model.weight[None] - model.weight[y][:, None]
    logits = model(x)
    need = (logits.gather(1, y[:, None]) - logits).detach()
    low, high = torch.zeros_like(need), torch.full_like(need, 64.0)
    for _ in range(60):
        middle = (low + high) / 2
        reached = torch.stack(
            [
                threat.per_example(radius).support(rows[:, [k]].detach(), x)[:, 0] >= need[:, k]
                for k, radius in enumerate(middle.unbind(1))
            ],
            dim=1,
        )
        low, high = torch.where(reached, low, middle), torch.where(reached, middle, high)
    return high.scatter(1, y[:, None], torch.inf).amin(1)


def streams(count):
    return ExampleRNG(0, torch.arange(count))
