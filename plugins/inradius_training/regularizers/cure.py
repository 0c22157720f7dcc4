"""A penalty on the curvature of the loss along the direction of attack."""

import attrs
import torch
from torch import Tensor, nn

from inradius import Dataset, ExampleRNG
from inradius.components.validators import as_float, share
from inradius.sets.oracles import Oracles
from inradius.training.slots import Schedule
from inradius.training.slots.regularizer import weight_or_schedule
from inradius_training.regularizers.local import Local, slopes_at


@attrs.frozen(kw_only=True)
class CURE(Local):
    """The penalty ‖g(x + δ) − g(x)‖² of each example, (B,), with g the gradient of the loss with respect to the input.

    δ is ``reach`` times the maximiser of ⟨g(x), δ⟩ over the set. No gradient flows through δ; gradients flow through both g.
    Source: moosavi2019.
    """

    second_order = True

    # Abad Rocamora et al. 2024, released code for CIFAR-10 at 8/255: 1000, for gradients of the mean over 128 examples
    weight: float | Schedule = attrs.field(default=1000 / 128**2, validator=weight_or_schedule, converter=as_float)
    # the whole radius: Abad Rocamora et al. 2024
    reach: float = attrs.field(default=1.0, validator=share, converter=as_float)

    def bend(self, model: nn.Module, batch: Dataset, threat: Oracles, rng: ExampleRNG) -> Tensor:
        """The squared distance between the two gradients of each example, (B,)."""
        x = batch.inputs
        _, here = slopes_at(model, x, batch, differentiable=True)
        with torch.no_grad():
            point = x + self.reach * threat.linear_max(here.detach(), x)
        _, there = slopes_at(model, point, batch, differentiable=True)
        return (there - here).square().flatten(1).sum(1)
