"""Gaussian noise within the set."""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import Attack, AttackBatch, Observer
from inradius.components.validators import count
from inradius.sets.examples import expand
from inradius_blackbox.draws import repeat


@attrs.frozen(kw_only=True)
class GaussianNoise(Attack):
    """Gaussian noise as long as the farthest point of Δ(x) in its direction, projected onto Δ(x).

    In ℓ2 that is a random point of the sphere, clipped by the box; in ℓ∞ a standard deviation of the radius, clipped.
    Noise is drawn until it is misclassified or the queries are used up; the last one stays. It asks for predictions alone.
    """

    aims: ClassVar[bool] = True
    black_box: ClassVar[bool] = True

    # as the repeated noise of foolbox 3 draws, and the answer's judgement
    queries: int = attrs.field(default=101, validator=count)

    @torch.no_grad()
    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        return repeat(batch, self.queries, _noise, observe)


def _noise(part: AttackBatch) -> Tensor:
    direction = part.rng.normal(tuple(part.x.shape[1:]), dtype=part.x.dtype).to(part.x.device)
    reach = part.threat.linear_max(direction, part.x).flatten(1).norm(dim=1) / direction.flatten(1).norm(dim=1)
    return part.threat.project(direction * expand(reach, direction), part.x)
