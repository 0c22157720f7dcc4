"""A penalty on gradients in the input that change their direction within the set."""

import attrs
import torch
from torch import Tensor, nn

from inradius import Dataset, ExampleRNG
from inradius.components.validators import as_float
from inradius.sets.oracles import Oracles
from inradius.training.slots import Schedule
from inradius.training.slots.regularizer import weight_or_schedule
from inradius_training.regularizers.local import Local, slopes_at


@attrs.frozen(kw_only=True)
class GradAlign(Local):
    """1 − cos(g(x), g(x + u)), with g the gradient of the loss in the input and u a random point of the set.

    It is 0 where the loss is linear within the set, so that one step of an attack finds the largest loss. Only g(x + u)
    is differentiated, as in the released code. An example with a gradient of zero counts as 0.
    Source: andriushchenko2020fast.
    """

    second_order = True

    # released code, for CIFAR-10 at 8/255
    weight: float | Schedule = attrs.field(default=0.2, validator=weight_or_schedule, converter=as_float)

    def bend(self, model: nn.Module, batch: Dataset, threat: Oracles, rng: ExampleRNG) -> Tensor:
        """1 − the cosine between the two gradients of each example, (B,)."""
        x = batch.inputs
        _, here = slopes_at(model, x, batch, differentiable=False)
        _, there = slopes_at(model, x + threat.sample(x, rng=rng), batch, differentiable=True)
        return misalignment(here, there)


def misalignment(a: Tensor, b: Tensor) -> Tensor:
    """1 − cos(a, b), 0 where one of them is zero, (B, *S), (B, *S) -> (B,)."""
    (a, some_a), (b, some_b) = _direction(a), _direction(b)
    # half the squared distance of unit vectors, which avoids cancellation
    return torch.where(some_a & some_b, (a - b).square().sum(1) / 2, 0.0)


def _direction(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Each vector scaled to length one, (B, n), and True where it is not zero, (B,).

    Vectors are scaled by their largest entry first, because small squares underflow.
    """
    flat = vectors.flatten(1)
    largest = flat.detach().abs().amax(1, keepdim=True)
    some = largest > 0
    # a constant replaces vectors of zero, whose derivative would be NaN
    scaled = torch.where(some, flat / torch.where(some, largest, 1.0), 1.0)
    return scaled / scaled.norm(dim=1, keepdim=True), some.squeeze(1)
