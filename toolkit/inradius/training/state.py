"""The state of a training run, which its components may ask."""

from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from inradius.components.component import Component
from inradius.data.dataset import Dataset
from inradius.processes import Processes
from inradius.stored.files import writing
from inradius.stored.listing import note
from inradius.training.actions import SCHEDULED, Action
from inradius.training.attacked_batch import AttackedBatch
from inradius.training.display import Display, silent
from inradius.training.inner_problem import AttackCache
from inradius.training.memory import Memories
from inradius.training.optimisation import Optimisation
from inradius.training.run_files import RunFiles
from inradius.training.run_settings import RunSettings


@attrs.define(eq=False, kw_only=True)
class RunState:
    """The state of a training run: the part of it that samplers, regularizers, directions, updates and monitors ask.

    It knows no slot and takes no step. Components are given the whole ``Run``, which has the recipe and the loop as well.
    """

    folder: Path
    model: nn.Module
    # named in messages; the run knows what it offers
    defense: object
    recipe: RunSettings
    held_out: Dataset
    processes: Processes
    display: Display = silent
    # the number of the model's logits
    classes: int = 0
    optimisation: Optimisation = attrs.field(init=False)
    # finished epochs
    epoch: int = attrs.field(init=False, default=0)
    # the share of the run that is done, in [0, 1]
    progress: float = attrs.field(init=False, default=0.0)
    best_score: float | None = attrs.field(init=False, default=None)
    best_epoch: int | None = attrs.field(init=False, default=None)
    best_weights: dict[str, Tensor] | None = attrs.field(init=False, default=None)
    history: list[dict[str, float]] = attrs.field(init=False, factory=list)
    # the numbers that were noted in this epoch
    noted: dict[str, list[float]] = attrs.field(init=False, factory=dict)
    # the training examples, known from the first batch on
    data: Dataset | None = attrs.field(init=False, default=None)
    # the batch that the loss is asked for, with the logits that were computed for it
    seen: AttackedBatch | None = attrs.field(init=False, default=None)
    tape: AttackCache = attrs.field(init=False, factory=AttackCache)
    # the next batch of an update that looks ahead
    ahead: Dataset | None = attrs.field(init=False, default=None)
    # why a monitor ended the run
    stopped: str | None = attrs.field(init=False, default=None)
    # the factors by which monitors multiply the schedules
    factors: dict[str, float] = attrs.field(init=False, factory=lambda: dict.fromkeys(SCHEDULED, 1.0))
    # the actions of monitors that were done, in their order, and those that are to be done when the epoch ends
    actions: list[dict[str, Any]] = attrs.field(init=False, factory=list)
    asked: list[Action] = attrs.field(init=False, factory=list)
    memories: Memories = attrs.field(init=False, factory=Memories)

    def __attrs_post_init__(self) -> None:
        optimizer, precision = self.recipe.optimise(self.model.parameters()), self.recipe.precise(self.device)
        self.optimisation = Optimisation(self.model, optimizer, precision, self.recipe.ema)

    @property
    def files(self) -> RunFiles:
        """The paths of the run's files."""
        return RunFiles(self.folder)

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return self.processes.device

    @property
    def seed(self) -> int:
        """The seed of the run, from which components derive their own (``inradius.rng.derive``)."""
        return self.recipe.seed

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimiser of the weights."""
        return self.optimisation.optimizer

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The weights that are trained."""
        return self.optimisation.parameters

    @property
    def averaged(self) -> nn.Module | None:
        """The moving average of the weights, None where the recipe asks for none."""
        return self.optimisation.averaged

    @property
    def rate(self) -> float:
        """The learning rate of this moment."""
        return self.recipe.rate(self.progress) * self.factors["lr"]

    def judged(self, model: nn.Module) -> nn.Module:
        """The network that is scored and kept for a model: of the trained model its average, where there is one."""
        return self.averaged if model is self.model and self.averaged is not None else model

    def look(self, batch: Dataset) -> AttackedBatch:
        """The batch as it was last seen for this loss: under attack once ``views`` was asked for, clean before."""
        if self.seen is None or self.seen.batch is not batch:
            self.seen = AttackedBatch(batch)
        return self.seen

    def memory(self, component: Component) -> dict[str, Any]:
        """A dict that a component keeps from step to step: numbers, strings, lists, dicts and tensors; saved with the run."""
        return self.memories.of(component)

    def mean(self, values: Tensor) -> float:
        """The mean over the examples of all processes, of values (B,) or ()."""
        given = values.detach().double()
        total = torch.stack([given.sum(), given.new_tensor(given.numel())])
        total = self.processes.sum(total)
        return float(total[0] / total[1])

    def log(self, **metrics: float) -> None:
        """Notes numbers; each epoch's mean of each goes to ``metrics.jsonl``."""
        for name, value in metrics.items():
            self.noted.setdefault(name, []).append(float(value))

    def own(self, name: str) -> Path:
        """The path of a file in the run's folder, for a component that writes it; ``fresh`` deletes it with the run."""
        path = self.folder / name
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        note(self.folder, name)
        return path
