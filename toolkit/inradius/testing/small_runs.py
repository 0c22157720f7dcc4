"""Short training runs for the laws of what a run is made of: they are repeated, killed and resumed."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import hypothesis.strategies as st
import torch
from torch import Tensor, nn

from inradius.attacks.attack import Attack
from inradius.components.component import Component
from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.sets.threat_model import ThreatModel
from inradius.testing.networks import network
from inradius.testing.strategies import Shape, inputs
from inradius.training.defense import AdversarialDefense
from inradius.training.losses import cross_entropy
from inradius.training.run import Run
from inradius.training.slots import Direction, Monitor, Regularizer, Update
from inradius.training.train import train

Watch = Callable[[Run], None]

_CLASSES = 3


@attrs.frozen(eq=False)
class RunCase:
    """A case for the laws of the parts of a run: examples to train on, the set, and a seed."""

    data: Dataset
    threat: ThreatModel
    seed: int


@attrs.frozen(eq=False)
class Ended:
    """A run that came to its end: the weights before its last step, and those that it gave back, in order."""

    weights: list[Tensor]


class KilledError(Exception):
    """A run that is stopped from outside."""


def run_cases(shape: Shape, threat: ThreatModel) -> st.SearchStrategy[RunCase]:
    """Eleven examples of three classes, of which three are held out."""

    def build(x: Tensor, seed: int) -> RunCase:
        data = Dataset.of(x, torch.arange(len(x)) % _CLASSES, bounds=threat.bounds, name="random examples")
        return RunCase(data, threat, seed)

    return st.builds(build, inputs(shape, threat.bounds, batch=11), st.integers(0, 2**31))


def ended(case: RunCase, *parts: Component, watch: Watch | None = None) -> Ended:
    """A run of two epochs with these parts; ``watch`` is called once the batch is attacked."""
    with TemporaryDirectory() as folder:
        return _train(case, Path(folder), parts, watch)


def the_run_ends_with_finite_weights(part: Component, case: RunCase) -> None:
    """A run of two epochs with it ends with finite weights."""
    assert all(bool(w.isfinite().all()) for w in ended(case, part).weights), "a weight is NaN or infinite"


def equal_runs_end_with_equal_weights(part: Component, case: RunCase) -> None:
    """Two runs with equal settings end with bit-equal weights."""
    assert equal(ended(case, part), ended(case, part)), "two equal runs end with different weights"


def a_resumed_run_ends_as_a_whole_one(part: Component, case: RunCase) -> None:
    """A run that is killed in its second epoch and resumed ends with the weights of an uninterrupted run."""

    def kill(run: Run) -> None:
        if run.epoch == 1:
            raise KilledError

    whole = ended(case, part)
    with TemporaryDirectory() as folder:
        try:
            rest = _train(case, Path(folder), (part,), kill)
        except KilledError:
            rest = _train(case, Path(folder), (part,), None)
    assert equal(whole, rest), "after resuming, the run ends with other weights; keep what changes in run.memory(self)"


def equal(one: Ended, other: Ended) -> bool:
    """True where two runs end with bit-equal weights."""
    return all(torch.equal(a, b) for a, b in zip(one.weights, other.weights, strict=True))


@attrs.frozen(kw_only=True)
class Learner(AdversarialDefense):
    """Learns from clean and perturbed examples; a direction is given both losses, others their mean."""

    two: bool
    watch: Watch | None

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        views = self.views(model, batch, threat, run)
        if self.watch is not None:
            self.watch(run)
        losses = torch.stack([cross_entropy(logits, batch) for logits in (views.clean(model), views.attacked(model))])
        return losses if self.two else losses.mean(0)

    def spec(self, *, full: bool = False) -> str:
        return f"learner(two={self.two})"


def _train(case: RunCase, folder: Path, parts: tuple[Component, ...], watch: Watch | None) -> Ended:
    last: list[Tensor] = []

    def look(run: Run) -> None:
        last[:] = [parameter.detach().clone() for parameter in run.parameters]
        if watch is not None:
            watch(run)

    model = network(tuple(case.data.inputs.shape[1:]), _CLASSES, case.seed, depth=1)
    learner = Learner(attack=make("fgsm()", Attack), two=any(isinstance(part, Direction) for part in parts), watch=look)
    options: dict[str, Any] = {"epochs": 2, "batch_size": 4, "validation": 0.25, "lr": 0.05, "device": "cpu"}
    best = train(learner, model, case.data, case.threat, folder=folder, seed=case.seed, **options, **_slots(parts))
    return Ended([*last, *(parameter.detach() for parameter in best.parameters())])


def _slots(parts: tuple[Component, ...]) -> dict[str, Any]:
    slots: dict[str, Any] = {}
    for part in parts:
        if isinstance(part, Regularizer):
            slots.setdefault("regularizers", []).append(part)
        elif isinstance(part, Monitor):
            slots.setdefault("monitors", []).append(part)
        elif isinstance(part, Direction):
            slots["direction"] = part
        elif isinstance(part, Update):
            slots["update"] = part
    return slots


RUN_LAWS = (
    the_run_ends_with_finite_weights,
    equal_runs_end_with_equal_weights,
    a_resumed_run_ends_as_a_whole_one,
)
