"""Gaussian noise within the set."""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import Attack, CountedModel, ExampleRNG, Oracles
from inradius.attacks.ascent import Part
from inradius.attacks.attack import Observer
from inradius.components.validators import count
from inradius.sets.examples import expand
from inradius_blackbox.draws import repeat


@attrs.frozen(kw_only=True)
class GaussianNoise(Attack):
    """Gaussian noise as long as the farthest point of Δ(x) in its direction, projected onto Δ(x).

    In ℓ2 that is a random point of the sphere, clipped by the box; in ℓ∞ a standard deviation of the radius, clipped.
    Noise is drawn until it fools the model or the queries are used up; the last one stays. It asks for predictions alone.
    """

    black_box: ClassVar[bool] = True

    # as the repeated noise of foolbox 3 draws, and the answer's judgement
    queries: int = attrs.field(default=101, validator=count)

    @torch.no_grad()
    def perturb(
        self,
        model: CountedModel,
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        rng: ExampleRNG,
        *,
        start: Tensor | None = None,
        observe: Observer | None = None,
        goal: Tensor | None = None,
    ) -> Tensor:
        return repeat(Part.whole(model, x, y, threat, rng, goal), self.queries, _noise, observe)


def _noise(part: Part) -> Tensor:
    direction = part.rng.normal(tuple(part.x.shape[1:]), dtype=part.x.dtype).to(part.x.device)
    reach = part.threat.linear_max(direction, part.x).flatten(1).norm(dim=1) / direction.flatten(1).norm(dim=1)
    return part.threat.project(direction * expand(reach, direction), part.x)
