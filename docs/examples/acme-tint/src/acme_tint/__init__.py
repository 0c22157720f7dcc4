"""A tint: every pixel of a channel moves by the same amount. Also an attack that works on any set."""

from typing import TYPE_CHECKING, Self

import attrs
import torch
from torch import Tensor

from inradius import Attack, InputError, Oracles, ExampleRNG, CountedModel, ThreatModel, hookimpl
from inradius.components import validators

if TYPE_CHECKING:
    import cvxpy


@attrs.frozen(kw_only=True)
class Tint(ThreatModel):
    """δ = s_c on all pixels of channel c, |s_c| ≤ eps, with x + δ in the box (None: no box). eps is in pixel values."""

    eps: float = attrs.field(validator=validators.radius)
    bounds: tuple[float, float] | None = attrs.field(default=(0.0, 1.0), validator=validators.box)

    convex = symmetric = tight = True

    @property
    def radius(self) -> float:
        return self.eps

    def _range(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The interval that each channel's amount may come from, two of (B, C)."""
        lower, upper = x.flatten(2).new_full(x.shape[:2], -self.eps), x.new_full(x.shape[:2], self.eps)
        if self.bounds is None:
            return lower, upper
        low, high = self.bounds
        lowest, highest = x.flatten(2).aminmax(dim=2)
        return lower.maximum(low - lowest).clamp(max=0), upper.minimum(high - highest).clamp(min=0)

    def project(self, delta: Tensor, x: Tensor) -> Tensor:
        # the sum of squares to a channel's pixels is least at their mean, and grows with the distance from it
        return _spread(delta.flatten(2).mean(2).clamp(*self._range(x)), x)

    def linear_max(self, c: Tensor, x: Tensor) -> Tensor:
        lower, upper = self._range(x)
        slope = c.flatten(2).sum(2)
        return _spread(torch.where(slope > 0, upper, torch.where(slope < 0, lower, 0)), x)

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        size = delta.flatten(2).mean(2).abs().amax(1)
        return torch.where(size == 0, 0, size / self.eps)

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        uneven = (delta - _spread(delta.flatten(2).mean(2), x)).flatten(1).abs().amax(1)
        if self.bounds is None:
            return _snap(uneven, x)
        low, high = self.bounds
        outside = torch.maximum(low - x - delta, x + delta - high).flatten(1).amax(1)
        return _snap(torch.maximum(uneven, outside), x)

    def scaled(self, factor: float) -> Self:
        return attrs.evolve(self, eps=self.eps * factor)

    def constraints(self, delta: "cvxpy.Variable", x: Tensor) -> "list[cvxpy.Constraint]":
        held, pixels = [delta <= self.eps, delta >= -self.eps], x[0].numel()
        for first in range(0, x.numel(), pixels):
            held.append(delta[first + 1 : first + pixels] == delta[first])
        if self.bounds is not None:
            flat = x.flatten().cpu().numpy()
            held += [flat + delta >= self.bounds[0], flat + delta <= self.bounds[1]]
        return held

    def check_inputs(self, x: Tensor) -> None:
        super().check_inputs(x)
        if x.ndim != 4:
            raise InputError(f"inputs of shape {tuple(x.shape)} have no channels; tint needs images (B, C, H, W)")


@attrs.frozen(kw_only=True)
class Vertices(Attack):
    """The worst of a few extreme points of Δ(x), each the maximiser of a random direction."""

    tries: int = attrs.field(default=10, validator=validators.count)

    def perturb(
        self, model: CountedModel, x: Tensor, y: Tensor, threat: Oracles, rng: ExampleRNG, **unused: object
    ) -> Tensor:
        worst, lead = torch.zeros_like(x), torch.full_like(y, torch.inf, dtype=x.dtype)
        for _ in range(self.tries):
            delta = threat.linear_max(rng.normal(tuple(x.shape[1:]), dtype=x.dtype), x)
            logits = model(x + delta)
            margin = logits.gather(1, y[:, None])[:, 0] - logits.scatter(1, y[:, None], -torch.inf).amax(1)
            worst[margin < lead] = delta[margin < lead]
            lead = lead.minimum(margin)
        return worst


def _spread(amounts: Tensor, x: Tensor) -> Tensor:
    """The amount of each channel on all of its pixels, (B, C) -> (B, *S)."""
    return amounts.view(*amounts.shape, 1, 1).expand_as(x)


def _snap(distance: Tensor, x: Tensor) -> Tensor:
    """The distance, 0 where it is rounding error."""
    return torch.where(distance <= 64 * torch.finfo(x.dtype).eps, 0, distance)


@hookimpl
def threat_models() -> list[type[ThreatModel]]:
    return [Tint]


@hookimpl
def attacks() -> list[type[Attack]]:
    return [Vertices]
