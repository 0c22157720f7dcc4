"""Random points of the set."""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import Attack, CountedModel, ExampleRNG, Oracles
from inradius.attacks.ascent import Part
from inradius.attacks.attack import Observer
from inradius.components.validators import count
from inradius_blackbox.draws import repeat


@attrs.frozen(kw_only=True)
class UniformNoise(Attack):
    """A random point of Δ(x), as the set draws it: in ℓ∞ each coordinate is uniform within the radius.

    Points are drawn until one fools the model or the queries are used up; the last one stays. It asks for predictions alone.
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
        whole = Part.whole(model, x, y, threat, rng, goal)
        return repeat(whole, self.queries, lambda part: part.threat.sample(part.x, rng=part.rng), observe)
