"""Ascent on the lines, multipliers and weights of domains: Adam with projection, each domain by itself. Source: wang2021."""

import attrs
import torch
from torch import Tensor

from inradius_bounds.search.domain_bounds import DomainBounds
from inradius_bounds.search.domains import Domains
from inradius_bounds.search.search_limit import UNLIMITED, SearchLimit

# the first step of shares, of weights, and of multipliers as a share of the size of the rows that they are subtracted from
_SHARE, _WEIGHT, _MULTIPLIER = 0.2, 0.2, 0.1
# the last step, as a share of the first
_LAST = 0.1
# domains above the goal are left out where no more than this share of them is below it
_KEPT = 0.75


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

    def select(self, index: Tensor) -> None:
        """Keeps the variables of the chosen domains."""
        self.value, self.mean, self.square = self.value[index], self.mean[index], self.square[index]
        self.rate = self.rate[index] if isinstance(self.rate, Tensor) else self.rate


@attrs.define(eq=False)
class _Best:
    """The best shares, multipliers and weights of D domains so far, and their bounds (D,)."""

    found: list[Tensor]
    bound: Tensor

    def keep(self, index: Tensor, value: Tensor, found: list[Tensor]) -> None:
        """Takes what was found for the domains ``index`` where its bounds are better."""
        better = value > self.bound[index]
        place = index[better]
        self.bound[place] = value[better]
        for best, new in zip(self.found, found, strict=True):
            best[place] = new[better]


def raised(bounds: DomainBounds, steps: int, goal: float, limit: SearchLimit = UNLIMITED) -> Domains:
    """The domains with the best shares, multipliers and weights found in ``steps`` steps, and the bounds as their ranks.

    A domain above ``goal`` takes no more steps, and none is taken when the time of ``limit`` is over. A multiplier keeps the sign
    of the limit that it belongs to: ≥ 0 for a lower and ≤ 0 for an upper limit. Only numbers that were split have one.
    """
    domains, first = bounds.domains, bounds.quick()
    value = first.closed.value[:, 0].detach()
    start = [each.to(value) for each in (domains.share, domains.multiplier, domains.weights)]
    best = _Best([each.clone() for each in start], value.clone())
    index = torch.arange(len(domains), device=value.device)
    variables = _variables(bounds, start, first.met)
    for step in range(1, steps + 1):
        left = best.bound[index] <= goal
        if limit.over or not bool(left.any()):
            break
        if int(left.sum()) <= _KEPT * len(left):
            chosen = left.nonzero()[:, 0]
            bounds, index = bounds.select(chosen), index[chosen]
            for each in variables:
                each.select(chosen)
        _moved(bounds, variables, step, _LAST ** (step / steps), best, index)
    found = [each.value for each in variables]
    if not limit.over:
        best.keep(index, bounds.ascent(*found).detach(), found)
    share, multiplier, weights = (each.to(domains.low) for each in best.found)
    return attrs.evolve(domains, share=share, multiplier=multiplier, weights=weights, rank=best.bound.to(domains.rank))


def _variables(bounds: DomainBounds, start: list[Tensor], met: Tensor) -> list[_Adam]:
    size = met.abs().sum(1, keepdim=True) if not bounds.layout.size else met.abs().amax(1, keepdim=True)
    rates: list[Tensor | float] = [_SHARE, _MULTIPLIER * size, 0.0 if bounds.clauses.single else _WEIGHT]
    return [_Adam(value, rate) for value, rate in zip(start, rates, strict=True)]


def _moved(bounds: DomainBounds, variables: list[_Adam], step: int, factor: float, best: _Best, index: Tensor) -> None:
    """One step of the variables, after their bounds are compared with the best."""
    asked = [each.value.detach().requires_grad_() for each in variables]
    with torch.enable_grad():
        value = bounds.ascent(*asked)
        gradients = torch.autograd.grad(value.sum(), asked, allow_unused=True)
    best.keep(index, value.detach(), [each.detach() for each in asked])
    for each, gradient in zip(variables, gradients, strict=True):
        if gradient is not None:
            each.move(gradient, step, factor)
    _project(variables, bounds.domains.side, bounds.clauses.used[bounds.domains.clause])


def _project(variables: list[_Adam], side: Tensor, used: Tensor) -> None:
    share, multiplier, weights = variables
    share.value = share.value.clamp(0, 1)
    multiplier.value = torch.where(side > 0, multiplier.value.clamp(min=0), multiplier.value.clamp(max=0))
    multiplier.value = torch.where(side == 0, 0.0, multiplier.value)
    used = used.to(weights.value)
    positive = weights.value.clamp(min=0) * used + 1e-9 * used
    weights.value = positive / positive.sum(1, keepdim=True)
