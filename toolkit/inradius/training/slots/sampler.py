"""Samplers: they choose the examples of the next mini-batch."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius.components.component import Component
from inradius.data.dataset import Dataset
from inradius.rng import derive
from inradius.training.state import RunState


@attrs.frozen(kw_only=True)
class Sampler(Component, ABC):
    """The rows of each mini-batch of an epoch, drawn when they are needed, so that feedback counts at once.

    Every process draws the same rows. The memory of a sampler is ``run.memory(self)``, which is saved with the run.
    """

    # whether ``observe`` is to be called, which asks the defense for the predictions it learned from
    observes: ClassVar[bool] = False

    @abstractmethod
    def rows(self, data: Dataset, run: RunState) -> Iterator[Tensor]:
        """The rows of ``data`` in each batch of this epoch, for as many batches as ``self.count`` says."""

    def count(self, data: Dataset, size: int) -> int:
        """The number of batches of at most ``size`` examples in an epoch; by default every example counts once."""
        return batch_count(len(data), size)

    def weights(self, labels: Tensor, run: RunState) -> Tensor | None:
        """The factors of the losses of a batch, (B,) for labels (B,); None for 1."""
        return None

    def observe(self, labels: Tensor, mistakes: Tensor, run: RunState) -> None:
        """Called after each step with all processes' batch: labels (B,), and True where a prediction under attack is wrong (B,)."""


@attrs.frozen(kw_only=True)
class Shuffled(Sampler):
    """Every example once an epoch, in a new order each time."""

    def rows(self, data: Dataset, run: RunState) -> Iterator[Tensor]:
        """The rows of each batch, of nearly equal sizes, because a last batch of one example would break BatchNorm."""
        generator = torch.Generator().manual_seed(derive(run.seed, "order", run.epoch))
        yield from torch.randperm(len(data), generator=generator).tensor_split(self.count(data, run.recipe.batch_size))


def batch_count(examples: int, size: int) -> int:
    """The least number of batches of at most ``size`` for a number of examples; at least 1."""
    return max(1, math.ceil(examples / size))
