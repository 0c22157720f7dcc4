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
class SamplerCase:
    """A case for the laws of samplers: examples of two joined sets, and a seed."""

    data: Dataset
    seed: int


class KilledError(Exception):
    """A run that is stopped from outside."""


def sampler_cases(shape: Shape) -> st.SearchStrategy[SamplerCase]:
    """Fourteen examples of three classes, six of them from the first set."""

    def build(x: Tensor, seed: int) -> SamplerCase:
        numbers = torch.arange(len(x))
        data = Dataset.of(x, numbers % 3, name="random examples")
        return SamplerCase(attrs.evolve(data, index=5 + 2 * numbers, source=(numbers >= 6).long()), seed)

    return st.builds(build, inputs(shape, batch=14), st.integers(0, 2**31))


def batches_are_of_the_data(sampler: Sampler, case: SamplerCase) -> None:
    """An epoch has the announced number of batches, none empty or larger than asked for, with examples of the data only."""
    with TemporaryDirectory() as folder:
        epochs = _train(sampler, case, Path(folder))
    for batches in epochs:
        assert len(batches) == sampler.count(case.data, _SIZE), f"an epoch has {len(batches)} batches"
        assert all(0 < len(batch) <= _SIZE for batch in batches), f"batches have {[len(b) for b in batches]} examples"
        assert bool(torch.isin(torch.cat(batches), case.data.index).all()), "an example is not of the data"


def equal_runs_draw_equal_batches(sampler: Sampler, case: SamplerCase) -> None:
    """Two runs with equal settings have the same batches in the same order."""
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        assert _same(_train(sampler, case, Path(one)), _train(sampler, case, Path(other))), "the batches differ"


def a_resumed_run_draws_what_a_whole_one_does(sampler: Sampler, case: SamplerCase) -> None:
    """A run that is killed in its second epoch and resumed has the batches of an uninterrupted run."""

    def kill(run: Run) -> None:
        if run.epoch == 1:
            raise KilledError

    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        whole = _train(sampler, case, Path(one))
        try:
            _train(sampler, case, Path(other), kill)
        except KilledError:
            rest = _train(sampler, case, Path(other))
    assert _same(whole[1:], rest), "after resuming, the batches differ"


def _train(
    sampler: Sampler, case: SamplerCase, folder: Path, watch: Callable[[Run], None] | None = None
) -> list[list[Tensor]]:
    """The numbers of the examples of each batch, for each epoch that was run."""
    seen: dict[int, list[Tensor]] = {}

    @attrs.frozen(kw_only=True)
    class RecordingDefense(Defense):
        def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
            if watch is not None:
                watch(run)
            seen.setdefault(run.epoch, []).append(batch.index.clone())
            return cross_entropy(run.look(batch).clean(model), batch)

    model = network(tuple(case.data.inputs.shape[1:]), 3, case.seed, depth=1)
    options = {"epochs": 2, "batch_size": _SIZE, "validation": 0.0, "lr": 0.05, "device": "cpu", "seed": case.seed}
    train(RecordingDefense(), model, case.data, NoSet(), folder=folder, sampler=sampler, **options)  # type: ignore[arg-type]
    return [seen[epoch] for epoch in sorted(seen)]


def _same(one: list[list[Tensor]], other: list[list[Tensor]]) -> bool:
    return [[b.tolist() for b in epoch] for epoch in one] == [[b.tolist() for b in epoch] for epoch in other]


LAWS = (
    spec_round_trip,
    batches_are_of_the_data,
    equal_runs_draw_equal_batches,
    a_resumed_run_draws_what_a_whole_one_does,
)
