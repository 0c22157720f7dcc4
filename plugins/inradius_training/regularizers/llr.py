"""A penalty on the error of the tangent of the loss."""

import attrs
from torch import Tensor, nn

from inradius import Dataset, ExampleRNG
from inradius.components.validators import as_float
from inradius.sets.oracles import Oracles
from inradius.training.slots import Schedule
from inradius.training.slots.regularizer import weight_or_schedule
from inradius_training.regularizers.local import Local, losses_at, slopes_at


@attrs.frozen(kw_only=True)
class LLR(Local):
    """(L(b) − L(a) − ⟨b − a, ∇L(a)⟩)², with random points a and b of x + Δ(x).

    The points are random as in rocamora2024. qin2019 take a = x, search for the b with the largest error, and also
    penalise |⟨b − a, ∇L(a)⟩|. Source: qin2019, rocamora2024.
    """

    second_order = True

    # Abad Rocamora et al. 2024, released code for CIFAR-10 at 8/255
    weight: float | Schedule = attrs.field(default=200.0, validator=weight_or_schedule, converter=as_float)

    def bend(self, model: nn.Module, batch: Dataset, threat: Oracles, rng: ExampleRNG) -> Tensor:
        """The squared error of each example's tangent, (B,)."""
        x = batch.inputs
        near, far = (x + threat.sample(x, rng=rng.fork(branch)) for branch in range(2))
        start, slopes = slopes_at(model, near, batch, differentiable=True)
        foreseen = start + ((far - near) * slopes).flatten(1).sum(1)
        return (losses_at(model, far, batch) - foreseen).square()
