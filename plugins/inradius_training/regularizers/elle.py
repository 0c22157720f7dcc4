"""A penalty on the error of linear interpolation of the loss between random points of the set."""

import attrs
import torch
from torch import Tensor, nn

from inradius import Dataset, ExampleRNG
from inradius.components.validators import as_float
from inradius.sets.examples import expand
from inradius.sets.oracles import Oracles
from inradius.training.slots import Schedule
from inradius.training.slots.regularizer import weight_or_schedule
from inradius_training.regularizers.local import Local, losses_at


@attrs.frozen(kw_only=True)
class ELLE(Local):
    """(L(c) − (1 − α) L(a) − α L(b))², with random points a and b of x + Δ(x), and c = (1 − α) a + α b for a random α ∈ [0, 1].

    No gradient in the input is needed. ELLE-A is ``elle(weight=elle_a())``, whose weight reacts to the error.
    Source: rocamora2024.
    """

    # released code, for CIFAR-10 up to 8/255; 5000 up to 20/255
    weight: float | Schedule = attrs.field(default=1000.0, validator=weight_or_schedule, converter=as_float)

    def bend(self, model: nn.Module, batch: Dataset, threat: Oracles, rng: ExampleRNG) -> Tensor:
        """The squared error of interpolating each example's loss, (B,)."""
        x = batch.inputs
        a, b = (x + threat.sample(x, rng=rng.fork(branch)) for branch in range(2))
        share = rng.fork(2).uniform(dtype=x.dtype)
        c = a + expand(share, x) * (b - a)
        at_a, at_b, at_c = losses_at(model, torch.cat([a, b, c]), batch).chunk(3)
        return (at_c - (1 - share) * at_a - share * at_b).square()
