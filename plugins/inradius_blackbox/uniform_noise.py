"""Random points of the set."""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import Attack, AttackBatch, Observer
from inradius.components.validators import count
from inradius_blackbox.draws import repeat


@attrs.frozen(kw_only=True)
class UniformNoise(Attack):
    """A random point of Δ(x), as the set draws it: in ℓ∞ each coordinate is uniform within the radius.

    Points are drawn until one is misclassified or the queries are used up; the last one stays. It asks for predictions alone.
    """

    aims: ClassVar[bool] = True
    black_box: ClassVar[bool] = True

    # as the repeated noise of foolbox 3 draws, and the answer's judgement
    queries: int = attrs.field(default=101, validator=count)

    @torch.no_grad()
    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        whole = batch
        return repeat(whole, self.queries, lambda part: part.threat.sample(part.x, rng=part.rng), observe)
