"""A transform: a change of a mini-batch before it is attacked and learned from."""

import attrs

from inradius import Dataset, ExampleRNG
from inradius.components import validators
from inradius.components.validators import as_float
from inradius.training.slots import Transform


@attrs.frozen(kw_only=True)
class AcmeName(Transform):
    """A share of the features of each example, chosen at random, take the value of the feature before them."""

    share: float = attrs.field(default=0.1, validator=validators.share, converter=as_float)

    def __call__(self, batch: Dataset, rng: ExampleRNG, classes: int) -> Dataset:
        inputs = batch.inputs
        # a stream for each example, so that batch mates change nothing
        chosen = rng.uniform(tuple(inputs.shape[1:])) < self.share
        before = inputs.flatten(1).roll(1, dims=1).view_as(inputs)
        # values that are in the batch already stay within its bounds, where these are the same for all features
        return attrs.evolve(batch, inputs=before.where(chosen, inputs))
