"""An attack for the examples that gradients cannot lead away from."""

import attrs
import torch
from torch import Tensor

from inradius import Attack, CountedModel, ExampleRNG, Margin, Oracles
from inradius.attacks.ascent import Part, gradient_of
from inradius.attacks.attack import Observer
from inradius.attacks.composite import Round, Series, check_goals
from inradius.components.validators import component


@attrs.frozen(kw_only=True)
class IfZeroGradient(Attack):
    """What an attack finds for the examples at which the margin's gradient is zero; δ = 0 for all others.

    A gradient of zero at x stops every gradient attack there, and says nothing of robustness: quantisers, saturation and
    dead units have it. An attack that needs no gradient goes on.
    Source: athalye2018.
    """

    positional = ("attack",)

    attack: Attack = attrs.field(validator=component(Attack))

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
        check_goals(self, (self.attack,), goal)
        whole = Part.whole(model, x, y, threat, rng, goal)
        series = Series(whole, Margin(), survivors=True, clean=False, start=start, observe=observe)
        series.left = _flat(whole)
        return series.run([Round(attack=self.attack, branch=0)])


def _flat(part: Part) -> Tensor:
    """The places of the examples whose gradient is zero at x."""
    point = torch.zeros_like(part.x).requires_grad_()
    with torch.enable_grad():
        _, value = part.score(point, Margin())
    return (gradient_of(value, point) == 0).flatten(1).all(1).nonzero().squeeze(1)
