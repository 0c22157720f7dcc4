"""The mini-batches of an epoch."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from inradius.data.dataset import Dataset
from inradius.errors import InputError
from inradius.rng import ExampleRNG
from inradius.training.derive import derive

if TYPE_CHECKING:
    from inradius.training.run import Run


def prepared(run: "Run", data: Dataset) -> Iterator[Dataset]:
    """This process's part of each batch, transformed, on the run's device."""
    for rows in run.recipe.sampler.rows(data, run):
        if len(rows) < run.processes.count:
            raise InputError(f"a batch of {len(rows)} examples cannot be shared by {run.processes.count} processes")
        batch = data.select(run.processes.share(rows)).to(run.device)
        for place, transform in enumerate(run.recipe.transforms):
            rng = ExampleRNG(derive(run.seed, "transform", place, run.epoch), batch.index)
            batch = transform(batch, rng, run.classes)
        yield batch
