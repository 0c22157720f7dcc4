"""A sampler: it chooses the examples of each mini-batch."""

from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from inradius import Dataset, RunState
from inradius.rng import derive
from inradius.training.slots import Sampler


@attrs.frozen(kw_only=True)
class AcmeName(Sampler):
    """Every example once an epoch, in a new order in which the classes take turns."""

    def rows(self, data: Dataset, run: RunState) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(derive(run.seed, "acme_name", run.epoch))
        order = torch.randperm(len(data), generator=generator)
        place = torch.empty_like(order)
        for label in range(data.classes):
            mine = data.labels[order] == label
            place[mine] = torch.arange(int(mine.sum()))
        yield from order[place.argsort(stable=True)].tensor_split(self.count(data, run.recipe.batch_size))
