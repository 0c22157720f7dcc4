"""Laws of samplers, one function each; ``LAWS`` lists them all. Each trains a tiny network on a few examples."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import hypothesis.strategies as st
import torch
from torch import Tensor, nn

from inradius.data.dataset import Dataset
from inradius.sets.threat_model import ThreatModel
from inradius.testing.components import spec_round_trip
from inradius.testing.networks import network
from inradius.testing.strategies import Shape, inputs
from inradius.training.defense import Defense
from inradius.training.losses import cross_entropy
from inradius.training.no_set import NoSet
from inradius.training.run import Run
from inradius.training.slots import Sampler
from inradius.training.train import train

_SIZE = 4


@attrs.frozen(eq=False)
class Course:
    """What a law of samplers is tried on: examples of two sets that were joined, and a seed."""

    data: Dataset
    seed: int


class KilledError(Exception):
    """A run that was stopped from outside."""


def courses(shape: Shape) -> st.SearchStrategy[Course]:
    """Fourteen examples of three classes, six of them from the first set."""

    def build(x: Tensor, seed: int) -> Course:
        numbers = torch.arange(len(x))
        data = Dataset.of(x, numbers % 3, name="a lesson")
        return Course(attrs.evolve(data, index=5 + 2 * numbers, source=(numbers >= 6).long()), seed)

    return st.builds(build, inputs(shape, batch=14), st.integers(0, 2**31))


def batches_are_of_the_data(sampler: Sampler, course: Course) -> None:
    """An epoch has as many batches as was said, none empty or larger than asked for, of examples of the data."""
    with TemporaryDirectory() as folder:
        epochs = _train(sampler, course, Path(folder))
    for batches in epochs:
        assert len(batches) == sampler.count(course.data, _SIZE), f"an epoch has {len(batches)} batches"
        assert all(0 < len(batch) <= _SIZE for batch in batches), f"batches have {[len(b) for b in batches]} examples"
        assert bool(torch.isin(torch.cat(batches), course.data.index).all()), "an example is not of the data"


def equal_runs_draw_equal_batches(sampler: Sampler, course: Course) -> None:
    """Two runs with equal settings have the same batches in the same order."""
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        assert _same(_train(sampler, course, Path(one)), _train(sampler, course, Path(other))), "the batches differ"


def a_resumed_run_draws_what_a_whole_one_does(sampler: Sampler, course: Course) -> None:
    """A run that was killed in its second epoch and goes on has the batches of one that was not."""

    def kill(run: Run) -> None:
        if run.epoch == 1:
            raise KilledError

    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        whole = _train(sampler, course, Path(one))
        try:
            _train(sampler, course, Path(other), kill)
        except KilledError:
            rest = _train(sampler, course, Path(other))
    assert _same(whole[1:], rest), "after resuming, the batches differ"


def _train(
    sampler: Sampler, course: Course, folder: Path, watch: Callable[[Run], None] | None = None
) -> list[list[Tensor]]:
    """The numbers of the examples of each batch of each epoch that was run."""
    seen: dict[int, list[Tensor]] = {}

    @attrs.frozen(kw_only=True)
    class Watched(Defense):
        def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
            if watch is not None:
                watch(run)
            seen.setdefault(run.epoch, []).append(batch.index.clone())
            return cross_entropy(run.look(batch).clean(model), batch)

    model = network(tuple(course.data.inputs.shape[1:]), 3, course.seed, depth=1)
    options = {"epochs": 2, "batch_size": _SIZE, "validation": 0.0, "lr": 0.05, "device": "cpu", "seed": course.seed}
    train(Watched(), model, course.data, NoSet(), folder=folder, sampler=sampler, **options)  # type: ignore[arg-type]
    return [seen[epoch] for epoch in sorted(seen)]


def _same(one: list[list[Tensor]], other: list[list[Tensor]]) -> bool:
    return [[b.tolist() for b in epoch] for epoch in one] == [[b.tolist() for b in epoch] for epoch in other]


LAWS = (
    spec_round_trip,
    batches_are_of_the_data,
    equal_runs_draw_equal_batches,
    a_resumed_run_draws_what_a_whole_one_does,
)
