"""Ascent on the lines, multipliers and weights of domains: Adam with projection, each domain by itself. Source: wang2021."""

import attrs
import torch
from torch import Tensor

from inradius_bounds.search.domain_bounds import DomainBounds
from inradius_bounds.search.domains import Domains

# the first step of shares, of weights, and of multipliers as a share of the size of the rows that they are subtracted from
_SHARE, _WEIGHT, _MULTIPLIER = 0.2, 0.2, 0.1
# the last step, as a share of the first
_LAST = 0.1


@attrs.define(eq=False)
class _Adam:
    """One variable (D, ·) with Adam's running means. Source: kingma2015."""

    value: Tensor
    rate: Tensor | float
    mean: Tensor = attrs.field(init=False)
    square: Tensor = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.mean, self.square = torch.zeros_like(self.value), torch.zeros_like(self.value)

    def move(self, gradient: Tensor, count: int, factor: float) -> None:
        self.mean.mul_(0.9).add_(gradient, alpha=0.1)
        self.square.mul_(0.98).addcmul_(gradient, gradient, value=0.02)
        size = (self.square / (1 - 0.98**count)).sqrt_().add_(1e-12)
        self.value = self.value + self.rate * (factor / (1 - 0.9**count)) * self.mean / size


def raised(bounds: DomainBounds, steps: int, goal: float) -> Domains:
    """The domains with the best shares, multipliers and weights found in ``steps`` steps; it ends when all are above ``goal``.

    A multiplier keeps the sign of the limit that it belongs to: ≥ 0 for a lower and ≤ 0 for an upper limit. Only numbers that
    were split have one.
    """
    domains = bounds.domains
    first = bounds.quick()
    best, highest = domains, first.closed.value[:, 0].detach()
    size = first.met.abs().sum(1, keepdim=True) if not bounds.layout.size else first.met.abs().amax(1, keepdim=True)
    variables = [
        _Adam(domains.share, _SHARE),
        _Adam(domains.multiplier, _MULTIPLIER * size),
        _Adam(domains.weights, 0.0 if bounds.clauses.single else _WEIGHT),
    ]
    for step in range(1, steps + 1):
        if bool((highest > goal).all()):
            break
        asked = [each.value.detach().requires_grad_() for each in variables]
        with torch.enable_grad():
            value = bounds.ascent(*asked)
            gradients = torch.autograd.grad(value.sum(), asked, allow_unused=True)
        value = value.detach()
        best, highest = _better(best, highest, value, [each.detach() for each in asked])
        for each, gradient in zip(variables, gradients, strict=True):
            if gradient is not None:
                each.move(gradient, step, _LAST ** (step / steps))
        _project(variables, domains.side, bounds.clauses.used[domains.clause])
    last = attrs.evolve(
        domains, **dict(zip(("share", "multiplier", "weights"), (each.value for each in variables), strict=True))
    )
    value = bounds.quick(last).closed.value[:, 0]
    return _better(best, highest, value, [each.value for each in variables])[0]


def _project(variables: list[_Adam], side: Tensor, used: Tensor) -> None:
    share, multiplier, weights = variables
    share.value = share.value.clamp(0, 1)
    multiplier.value = torch.where(side > 0, multiplier.value.clamp(min=0), multiplier.value.clamp(max=0))
    multiplier.value = torch.where(side == 0, 0.0, multiplier.value)
    positive = weights.value.clamp(min=0) * used + 1e-9 * used
    weights.value = positive / positive.sum(1, keepdim=True)


def _better(best: Domains, highest: Tensor, value: Tensor, found: list[Tensor]) -> tuple[Domains, Tensor]:
    better = value > highest
    columns = [
        torch.where(better[:, None], new, old)
        for new, old in zip(found, (best.share, best.multiplier, best.weights), strict=True)
    ]
    share, multiplier, weights = columns
    kept = attrs.evolve(best, share=share, multiplier=multiplier, weights=weights)
    return kept, torch.where(better, value, highest)
