"""An attack: the worst of a few extreme points of the set."""

import attrs
import torch
from torch import Tensor

from inradius import Attack, AttackBatch, Observer
from inradius.components import validators


@attrs.frozen(kw_only=True)
class AcmeName(Attack):
    """The worst of a few extreme points of Δ(x), each the maximiser of a random direction."""

    # it asks for logits alone, never for a gradient
    black_box = True

    tries: int = attrs.field(default=10, validator=validators.count)

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        x, y = batch.x, batch.y
        worst, least = torch.zeros_like(x), torch.full_like(y, torch.inf, dtype=x.dtype)
        for step in range(self.tries):
            delta = batch.threat.linear_max(batch.rng.normal(tuple(x.shape[1:]), dtype=x.dtype), x)
            logits = batch.model(x + delta)
            lead = logits.gather(1, y[:, None])[:, 0] - logits.scatter(1, y[:, None], -torch.inf).amax(1)
            worst[lead < least] = delta[lead < least]
            least = least.minimum(lead)
            if observe is not None:
                observe(step, delta)
        return worst
