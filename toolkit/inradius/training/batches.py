"""The mini-batches of an epoch."""

from collections.abc import Iterator

from inradius.data.dataset import Dataset
from inradius.errors import InputError
from inradius.rng import ExampleRNG, derive
from inradius.training.attacked_batch import AttackedBatch
from inradius.training.recipe import Recipe
from inradius.training.state import RunState


def mini_batches(run: RunState, recipe: Recipe, data: Dataset) -> Iterator[Dataset]:
    """The mini-batches of this epoch, each made the batch of the moment before it is given."""
    run.data = data
    count = recipe.sampler.count(data, recipe.batch_size)
    upcoming = _prepared(run, recipe, data)
    batch = next(upcoming, None)
    for number in range(count):
        if batch is None:
            return
        run.progress = (run.epoch + number / count) / recipe.epochs
        # a sampler with feedback draws the next batch when this one is learned from
        run.ahead = next(upcoming, None) if recipe.update.lookahead else None
        run.tape.begin(batch, *([] if run.ahead is None else [run.ahead]))
        run.seen = AttackedBatch(batch)
        yield batch
        batch = run.ahead if recipe.update.lookahead else next(upcoming, None)


def _prepared(run: RunState, recipe: Recipe, data: Dataset) -> Iterator[Dataset]:
    """This process's part of each batch, transformed, on the run's device."""
    for rows in recipe.sampler.rows(data, run):
        if len(rows) < run.processes.count:
            raise InputError(f"a batch of {len(rows)} examples cannot be shared by {run.processes.count} processes")
        batch = data.select(run.processes.shard(rows)).to(run.device)
        for place, transform in enumerate(recipe.transforms):
            rng = ExampleRNG(derive(run.seed, "transform", place, run.epoch), batch.index)
            batch = transform(batch, rng, run.classes)
        yield batch
