"""A tint: every pixel of a channel moves by the same amount. Also an attack that works on any set."""

from typing import TYPE_CHECKING

import attrs
import torch
from torch import Tensor

from inradius import Attack, AttackBatch, BoxedSet, InputError, Observer, ThreatModel, hookimpl
from inradius.components import validators

if TYPE_CHECKING:
    import cvxpy


@attrs.frozen(kw_only=True)
class Tint(BoxedSet):
    """δ = s_c on all pixels of channel c, |s_c| ≤ eps, with x + δ in the box (None: no box). eps is in pixel values."""

    symmetric = True

    def project_unboxed(self, delta: Tensor, x: Tensor) -> Tensor:
        return _even(delta).clamp(-self.eps, self.eps)

    def linear_max_unboxed(self, c: Tensor, x: Tensor) -> Tensor:
        return self.eps * _even(c).sign()

    def gauge_unboxed(self, delta: Tensor, x: Tensor) -> Tensor:
        size = _even(delta).flatten(1).abs().amax(1)
        return torch.where(size == 0, 0, size / self.eps)

    def violation_unboxed(self, delta: Tensor, x: Tensor) -> Tensor:
        return (delta - _even(delta)).flatten(1).abs().amax(1)

    def constraints_unboxed(self, delta: "cvxpy.Variable", x: Tensor) -> "list[cvxpy.Constraint]":
        channels = [delta[k : k + x[0].numel()] for k in range(0, x.numel(), x[0].numel())]
        return [delta <= self.eps, delta >= -self.eps, *(pixels[1:] == pixels[0] for pixels in channels)]

    def check_inputs(self, x: Tensor) -> None:
        super().check_inputs(x)
        if x.ndim != 4:
            raise InputError(f"inputs of shape {tuple(x.shape)} have no channels; tint needs images (B, C, H, W)")


@attrs.frozen(kw_only=True)
class Vertices(Attack):
    """The worst of a few extreme points of Δ(x), each the maximiser of a random direction."""

    tries: int = attrs.field(default=10, validator=validators.count)

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        x, y = batch.x, batch.y
        worst, lead = torch.zeros_like(x), torch.full_like(y, torch.inf, dtype=x.dtype)
        for _ in range(self.tries):
            delta = batch.threat.linear_max(batch.rng.normal(tuple(x.shape[1:]), dtype=x.dtype), x)
            logits = batch.model(x + delta)
            margin = logits.gather(1, y[:, None])[:, 0] - logits.scatter(1, y[:, None], -torch.inf).amax(1)
            worst[margin < lead] = delta[margin < lead]
            lead = lead.minimum(margin)
        return worst


def _even(values: Tensor) -> Tensor:
    """The mean of each channel on all of its pixels, (B, C, H, W)."""
    return values.mean((2, 3), keepdim=True).expand_as(values)


@hookimpl
def threat_models() -> list[type[ThreatModel]]:
    return [Tint]


@hookimpl
def attacks() -> list[type[Attack]]:
    return [Vertices]
