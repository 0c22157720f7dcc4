"""Batches of several sets in fixed shares."""

import math
from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from inradius import Dataset, InputError, RunState
from inradius.components.validators import as_float, share
from inradius.rng import derive
from inradius.training.slots import Sampler


@attrs.frozen(kw_only=True)
class Mixed(Sampler):
    """A ``first`` share of each batch from the first set of joined data, the rest from the other sets.

    An epoch uses every example of the first set once. It uses as many of the others as fit, drawn anew each time, none
    twice before all were used. Source: carmon2019.
    """

    positional = ("first",)

    # equal parts: Carmon et al. 2019, and the thesis, section 4.4.3
    first: float = attrs.field(default=0.5, validator=share, converter=as_float)

    def count(self, data: Dataset, size: int) -> int:
        """The number of batches that the first set fills with its share."""
        return math.ceil(len(self._sets(data)[0]) / self._places(size))

    def rows(self, data: Dataset, run: RunState) -> Iterator[Tensor]:
        """Batches of nearly equal sizes, those of the first set in front."""
        own, others = self._sets(data)
        size = run.recipe.batch_size
        per_own = (size - self._places(size)) / self._places(size)
        generator = torch.Generator().manual_seed(derive(run.seed, "mixed", run.epoch))
        parts = own[torch.randperm(len(own), generator=generator)].tensor_split(self.count(data, run.recipe.batch_size))
        wanted = [round(len(part) * per_own) for part in parts]
        rounds = max(1, math.ceil(sum(wanted) / len(others)))
        more = torch.cat([others[torch.randperm(len(others), generator=generator)] for _ in range(rounds)])
        for part, added in zip(parts, torch.split(more[: sum(wanted)], wanted), strict=True):
            yield torch.cat([part, added])

    def _places(self, size: int) -> int:
        """The number of examples of the first set in a batch."""
        places = round(self.first * size)
        if not 0 < places < size:
            raise InputError(
                f"{self} gives a set no example in a batch of {size}; allowed are shares that give each set at least one"
            )
        return places

    def _sets(self, data: Dataset) -> tuple[Tensor, Tensor]:
        """The rows of the first set, and those of the others."""
        own = torch.zeros(len(data), dtype=torch.bool) if data.source is None else data.source.cpu() == 0
        if own.all() or not own.any():
            raise InputError(
                f"{self} mixes the sets of joined data, and {data.name} has only one; allowed are data such as joined and "
                "pseudo_labelled make"
            )
        return own.nonzero().squeeze(1), (~own).nonzero().squeeze(1)
