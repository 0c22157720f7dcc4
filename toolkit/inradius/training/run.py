"""One training run: what a defense is given beside the model, the data and the set."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import torch
from torch import Tensor, nn

from inradius.attacks.composite import maximising
from inradius.components.component import Component
from inradius.data.dataset import Dataset
from inradius.models.modes import BatchNormMode
from inradius.models.weights import fill
from inradius.processes import Processes
from inradius.sets.threat_model import ThreatModel
from inradius.stored.files import write_atomic, writing
from inradius.stored.listing import LIST, begin, note
from inradius.stored.tensor_file import tensor_file
from inradius.training import state, validation, watch
from inradius.training.attacked_batch import AttackedBatch
from inradius.training.batches import prepared
from inradius.training.checks import check_losses
from inradius.training.derive import derive
from inradius.training.descent import Descent
from inradius.training.display import Display
from inradius.training.inner_problem import AttackCache, InnerProblem, search
from inradius.training.memory import Memories
from inradius.training.optimisation import Optimisation
from inradius.training.precision import GradientOverflowError
from inradius.training.recipe import Recipe
from inradius.training.slots.monitor import SCHEDULED, Action, RollBack

if TYPE_CHECKING:
    from inradius.attacks.attack import Attack
    from inradius.training.defense import Defense

A = TypeVar("A", bound="Attack")


@attrs.define(eq=False)
class Run:
    """The engine of a training run.

    Every random number is a function of (seed, epoch, example), so a run that was stopped after an epoch goes on as if
    it had not been. Files in ``folder``: ``state.pt`` (all that resuming needs), and what can be read off it:
    ``last.safetensors``, ``best.safetensors`` (by the score on ``held_out``), ``ema.safetensors`` where the recipe asks for
    a moving average, which is then what is scored, and ``metrics.jsonl`` (a line for each epoch).
    """

    model: nn.Module
    defense: "Defense"
    recipe: Recipe
    held_out: Dataset
    folder: Path
    processes: Processes
    display: Display
    optimisation: Optimisation = attrs.field(init=False)
    # finished epochs
    epoch: int = attrs.field(init=False, default=0)
    # the share of the run that is done, in [0, 1]
    progress: float = attrs.field(init=False, default=0.0)
    best_score: float | None = attrs.field(init=False, default=None)
    best_epoch: int | None = attrs.field(init=False, default=None)
    best_weights: dict[str, Tensor] | None = attrs.field(init=False, default=None)
    history: list[dict[str, float]] = attrs.field(init=False, factory=list)
    # what is trained on, known from the first batch on
    data: Dataset | None = attrs.field(init=False, default=None)
    # the batch that the loss is asked for, and what was computed for it
    seen: AttackedBatch | None = attrs.field(init=False, default=None)
    tape: AttackCache = attrs.field(init=False, factory=AttackCache)
    # the next batch of an update that looks ahead
    ahead: Dataset | None = attrs.field(init=False, default=None)
    # why a monitor ended the run
    stopped: str | None = attrs.field(init=False, default=None)
    # what monitors multiply the schedules by
    factors: dict[str, float] = attrs.field(init=False, factory=lambda: dict.fromkeys(SCHEDULED, 1.0))
    # what monitors asked for, and why, in the order in which it was done
    actions: list[dict[str, Any]] = attrs.field(init=False, factory=list)
    # the number of the model's logits
    classes: int = attrs.field(init=False, default=0)
    memories: Memories = attrs.field(init=False, factory=Memories)
    _asked: list[Action] = attrs.field(init=False, factory=list)
    _sums: dict[str, list[float]] = attrs.field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self.optimisation = Optimisation(self)
        state.resume(self)

    @property
    def files(self) -> state.Files:
        return state.Files(self.folder)

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        return self.optimisation.optimizer

    @property
    def averaged(self) -> nn.Module | None:
        """The moving average of the weights, None where the recipe asks for none."""
        return self.optimisation.averaged

    @property
    def device(self) -> torch.device:
        return self.processes.device

    @property
    def seed(self) -> int:
        return self.recipe.seed

    def epochs(self) -> Iterator[int]:
        """The numbers of the epochs still to run, from 0; after each the run is saved."""
        watch.tell(self)
        while self.epoch < self.recipe.epochs and self.stopped is None:
            started = monotonic()
            self.progress = self.epoch / self.recipe.epochs
            torch.manual_seed(derive(self.seed, "torch", self.epoch, self.processes.rank))
            yield self.epoch
            self._close_epoch(monotonic() - started)
        self.progress = 1.0
        self.display(1.0, f"{self.epoch} epochs{self._standing()}")

    def batches(self, data: Dataset) -> Iterator[Dataset]:
        """The data in a new order each epoch, augmented, as mini-batches of nearly equal sizes on the run's device.

        The examples keep their numbers. Where several processes train, each gets its part of every batch.
        """
        self.data = data
        count = self.count(data)
        upcoming = prepared(self, data)
        batch = next(upcoming, None)
        for number in range(count):
            if batch is None:
                return
            self.progress = (self.epoch + number / count) / self.recipe.epochs
            # a sampler with feedback draws the next batch when this one is learned from
            self.ahead = next(upcoming, None) if self.recipe.update.lookahead else None
            self.tape.begin(batch, *([] if self.ahead is None else [self.ahead]))
            self.seen = AttackedBatch(batch)
            yield batch
            batch = self.ahead if self.recipe.update.lookahead else next(upcoming, None)

    def count(self, data: Dataset) -> int:
        """The number of batches in an epoch."""
        return self.recipe.sampler.count(data, self.recipe.batch_size)

    def part(self, name: str, model: nn.Module, defense: "Defense", held_out: Dataset) -> "Run":
        """A run of its own within this one, for a defense that trains several networks; its folder is ``parts/name``.

        It goes on where it was stopped, as this one does.
        """
        folder = self.folder / "parts" / name
        if self.processes.main:
            self.own(f"parts/{name}/{LIST}")
            # a run of an older version has no list, and its parts get none
            if (self.folder / LIST).exists():
                begin(folder)
        self.processes.wait()
        part = Run(model, defense, self.recipe, held_out, folder, self.processes, self.display)
        part.classes = self.classes
        return part

    def own(self, name: str) -> Path:
        """The path of a file in the run's folder, for what a component writes itself; ``fresh`` deletes it with the run."""
        path = self.folder / name
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        note(self.folder, name)
        return path

    def reseeded(self, attack: A) -> A:
        """The attack with random numbers of this epoch's own."""
        return attrs.evolve(attack, seed=derive(self.seed, self.defense.seed, attack.seed, self.epoch))

    def memory(self, component: Component) -> dict[str, Any]:
        """What a component keeps from step to step: numbers, strings, lists, dicts and tensors; saved with the run."""
        return self.memories.of(component)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The weights that are trained."""
        return self.optimisation.parameters

    def begin(self, batch: Dataset) -> None:
        """The loss of this batch is about to be asked for."""
        self.seen = AttackedBatch(batch)

    def look(self, batch: Dataset) -> AttackedBatch:
        """The batch as it was last seen for this loss: under attack once ``views`` was asked for, clean before."""
        if self.seen is None or self.seen.batch is not batch:
            self.begin(batch)
        assert self.seen is not None
        return self.seen

    def views(
        self,
        model: nn.Module,
        batch: Dataset,
        searches: "InnerProblem | Sequence[InnerProblem]",
        *,
        targets: Tensor | None = None,
        keep: tuple[int, ...] = (),
        bn_mode: BatchNormMode = "eval",
    ) -> AttackedBatch:
        """The batch under attack: by one search, or by several, whose answers are then the candidates.

        ``keep`` are the numbers of the iterates that the loss needs; ``targets`` (B, C) are what the attack compares with, by
        default the mixed labels of the batch, or the clean predictions where the attack compares predictions. An attack that
        would leave an example once it is fooled goes on, ``keep_maximising`` or not: training wants the largest objective. A
        second gradient on a batch sees the perturbations of the first.
        """
        several = (searches,) if isinstance(searches, InnerProblem) else tuple(searches)
        anew = [attrs.evolve(one, attack=self.reseeded(maximising(one.attack))) for one in several]
        with self.optimisation.precision.attacking():
            found = self.tape.recall(lambda: search(anew, model, batch, targets=targets, keep=keep, bn_mode=bn_mode))
        self.seen = AttackedBatch(batch, found)
        return self.seen

    def scheduled(self, threat: ThreatModel) -> ThreatModel:
        """The set at the radius of this moment."""
        factor = self.recipe.radius(self.progress) * self.factors["radius"]
        return threat if factor == 1 else threat.scaled(factor)

    def advance(self, model: nn.Module, batch: Dataset, threat: ThreatModel) -> None:
        """One step of the weights on a batch, by the update of the run."""
        descent = Descent(self, model, batch, self.scheduled(threat), self.ahead)
        try:
            self.recipe.update(descent)
        except GradientOverflowError:
            self.optimisation.skip()
        descent.close()

    def training_precision(self) -> AbstractContextManager[Any]:
        """Within it the network computes in the recipe's precision, for defenses that own their steps."""
        return self.optimisation.precision.training()

    def descend(self, losses: Tensor) -> None:
        """One optimiser step on the mean of the losses (B,), over all processes, for defenses that own their steps.

        Raises ``DivergenceError`` where the loss or its gradient is not finite; the weights stay as they are.
        """
        check_losses(self, losses, losses.shape[-1] if losses.ndim else 1)
        try:
            mean = self.backward(losses)
            self.apply()
        except GradientOverflowError:
            self.optimisation.skip()
            return
        self.report(mean)

    def mean(self, values: Tensor) -> float:
        """The mean over the examples of all processes, of values (B,) or ()."""
        given = values.detach().double()
        total = torch.stack([given.sum(), given.new_tensor(given.numel())])
        total = self.processes.sum(total)
        return float(total[0] / total[1])

    def backward(self, losses: Tensor) -> float:
        """The mean of the losses (B,) or (k, B); leaves the gradient to descend along in the weights, clipped.

        Raises ``DivergenceError`` where the loss or its gradient is not finite.
        """
        return self.optimisation.backward(losses)

    def apply(self) -> None:
        """The optimiser's step along the gradients in the weights, at the scheduled learning rate."""
        self.optimisation.apply()

    def report(self, loss: float) -> None:
        """Notes a step's mean loss, and shows it."""
        self.log(loss=loss, lr=self.optimizer.param_groups[0]["lr"])
        self.display(self.progress, f"epoch {self.epoch + 1}/{self.recipe.epochs}, loss {loss:.4f}{self._standing()}")

    def _standing(self) -> str:
        return "" if self.best_score is None else f", best score {self.best_score:.4f}"

    def log(self, **metrics: float) -> None:
        """Notes numbers; each epoch's mean of each goes to ``metrics.jsonl``."""
        for name, value in metrics.items():
            self._sums.setdefault(name, []).append(float(value))

    def validate(self, model: nn.Module, threat: ThreatModel) -> None:
        """Ends an epoch: scores the model on the held-out examples, and asks the monitors.

        The weights are kept where none before was better; a tie goes to the later. Where weights are averaged, it is their
        average that is scored and kept. An epoch that is rolled back is never the best one: its score may be that of an
        attack which has gone blind.
        """
        judged = self.judged(model)
        self.processes.average_buffers(model)
        if judged is not model:
            self.processes.average_buffers(judged)
        score = validation.score(self, judged, threat) if len(self.held_out) else None
        self._asked.extend(watch.ask(self, model, threat))
        if score is not None and not any(isinstance(action, RollBack) for action in self._asked):
            validation.keep_best(self, judged, score)

    def judged(self, model: nn.Module) -> nn.Module:
        """What is scored and kept for a model: of the one that is trained the average, where there is one."""
        return self.averaged if model is self.model and self.averaged is not None else model

    def finish(self, model: nn.Module) -> nn.Module:
        """The model with the best weights (the last ones where nothing was held out), in eval mode."""
        best = state.copied(self.judged(model)) if self.best_weights is None else self.best_weights
        if self.processes.main:
            write_atomic(self.best_path, tensor_file(best))
        self.processes.wait()
        fill(model, type(model).__name__, self.best_path)
        return model.eval()

    @property
    def last_path(self) -> Path:
        return self.files.last

    @property
    def best_path(self) -> Path:
        return self.files.best

    def _close_epoch(self, seconds: float) -> None:
        means = {name: sum(values) / len(values) for name, values in self._sums.items()}
        self.history.append({"epoch": self.epoch + 1, **means, "seconds": round(seconds, 3)})
        self._sums.clear()
        asked, self._asked = self._asked, []
        watch.act(self, asked)
        self.epoch += 1
        state.save(self)
        watch.tell(self)
