"""Transforms: changes of the training examples, drawn anew in each epoch."""

from abc import ABC, abstractmethod

import attrs

from inradius.components.component import Component
from inradius.data.dataset import Dataset
from inradius.rng import ExampleRNG


@attrs.frozen(kw_only=True)
class Transform(Component, ABC):
    """A change of a mini-batch before it is attacked and learned from.

    Laws: the examples keep their numbers and their order, and inputs stay within the batch's bounds; equal streams give equal
    answers. Labels that become mixtures are given as ``targets`` (B, C), which attack and loss then share.
    """

    @abstractmethod
    def __call__(self, batch: Dataset, rng: ExampleRNG, classes: int) -> Dataset:
        """The changed batch; ``rng`` has a stream for each example, ``classes`` is the number of the model's logits."""
