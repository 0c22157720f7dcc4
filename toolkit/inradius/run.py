"""One training run: what a defense is given beside the model, the data and the set."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import torch
from torch import Tensor, nn

from inradius._component import Component
from inradius.data import Dataset
from inradius.errors import DivergenceError, InputError, PluginError
from inradius.modes import BatchNormMode, evaluating
from inradius.slots.monitor import Action, RollBack, Set
from inradius.slots.sampler import batch_count
from inradius.streams import Streams
from inradius.threat import ThreatModel
from inradius.training.checkpoint import load_state, load_weights, save_state, save_weights, write_atomic
from inradius.training.derive import derive
from inradius.training.descent import Descent
from inradius.training.display import Display
from inradius.training.processes import Processes
from inradius.training.recipe import Recipe
from inradius.training.search import Search, Tape, search
from inradius.views import Views

if TYPE_CHECKING:
    from inradius.attack import Attack
    from inradius.defense import Defense

A = TypeVar("A", bound="Attack")


@attrs.define(eq=False)
class Run:
    """The engine of a training run.

    Every random number is a function of (seed, epoch, example), so a run that was stopped after an epoch goes on as if
    it had not been. Files in ``folder``: ``last.safetensors``, ``best.safetensors`` (by the score on ``held_out``),
    ``state.pt`` (all that resuming needs) and ``metrics.jsonl`` (a line for each epoch).
    """

    model: nn.Module
    defense: "Defense"
    recipe: Recipe
    held_out: Dataset
    folder: Path
    processes: Processes
    display: Display
    optimizer: torch.optim.Optimizer = attrs.field(init=False)
    # finished epochs
    epoch: int = attrs.field(init=False, default=0)
    # the share of the run that is done, in [0, 1]
    progress: float = attrs.field(init=False, default=0.0)
    best_score: float | None = attrs.field(init=False, default=None)
    best_epoch: int | None = attrs.field(init=False, default=None)
    history: list[dict[str, float]] = attrs.field(init=False, factory=list)
    # what is trained on, known from the first batch on
    data: Dataset | None = attrs.field(init=False, default=None)
    # the batch that the loss is asked for, and what was computed for it
    seen: Views | None = attrs.field(init=False, default=None)
    tape: Tape = attrs.field(init=False, factory=Tape)
    # the next batch of an update that looks ahead
    ahead: Dataset | None = attrs.field(init=False, default=None)
    # why a monitor ended the run
    stopped: str | None = attrs.field(init=False, default=None)
    # what monitors multiply the schedules by
    factors: dict[str, float] = attrs.field(init=False, factory=lambda: {"lr": 1.0, "radius": 1.0})
    # the number of the model's logits
    classes: int = attrs.field(init=False, default=0)
    _memories: dict[str, dict[str, Any]] = attrs.field(init=False, factory=dict)
    _actions: list[Action] = attrs.field(init=False, factory=list)
    _sums: dict[str, list[float]] = attrs.field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self.optimizer = self.recipe.optimise(self.model.parameters())
        self._resume()

    @property
    def device(self) -> torch.device:
        return self.processes.device

    @property
    def seed(self) -> int:
        return self.recipe.seed

    def epochs(self) -> Iterator[int]:
        """The numbers of the epochs still to run, from 0; after each the run is saved."""
        self._tell_monitors()
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
        upcoming = self._prepared(data)
        batch = next(upcoming, None)
        for number in range(count):
            if batch is None:
                return
            self.progress = (self.epoch + number / count) / self.recipe.epochs
            # a sampler with feedback draws the next batch when this one is learned from
            self.ahead = next(upcoming, None) if self.recipe.update.lookahead else None
            self.tape.begin(batch, *([] if self.ahead is None else [self.ahead]))
            self.seen = Views(batch)
            yield batch
            batch = self.ahead if self.recipe.update.lookahead else next(upcoming, None)

    def count(self, data: Dataset) -> int:
        """The number of batches in an epoch."""
        return batch_count(len(data), self.recipe.batch_size)

    def _prepared(self, data: Dataset) -> Iterator[Dataset]:
        """This process's part of each batch, transformed, on the run's device."""
        for rows in self.recipe.sampler.rows(data, self):
            if len(rows) < self.processes.count:
                raise InputError(
                    f"a batch of {len(rows)} examples cannot be shared by {self.processes.count} processes"
                )
            batch = data.select(self.processes.share(rows)).to(self.device)
            for place, transform in enumerate(self.recipe.transforms):
                rng = Streams(derive(self.seed, "transform", place, self.epoch), batch.index)
                batch = transform(batch, rng, self.classes)
            yield batch

    def part(self, name: str, model: nn.Module, defense: "Defense", held_out: Dataset) -> "Run":
        """A run of its own within this one, for a defense that trains several networks; its folder is ``parts/name``.

        It goes on where it was stopped, as this one does.
        """
        folder = self.folder / "parts" / name
        if self.processes.main:
            folder.mkdir(parents=True, exist_ok=True)
        self.processes.wait()
        return Run(model, defense, self.recipe, held_out, folder, self.processes, self.display)

    def reseeded(self, attack: A) -> A:
        """The attack with random numbers of this epoch's own."""
        return attrs.evolve(attack, seed=derive(self.seed, self.defense.seed, attack.seed, self.epoch))

    def memory(self, component: Component) -> dict[str, Any]:
        """What a component keeps from step to step: numbers, strings, lists, dicts and tensors; saved with the run."""
        return self._memories.setdefault(component.spec(full=True), {})

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The weights that are trained."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def begin(self, batch: Dataset) -> None:
        """The loss of this batch is about to be asked for."""
        self.seen = Views(batch)

    def look(self, batch: Dataset) -> Views:
        """The batch as it was last seen for this loss: under attack once ``views`` was asked for, clean before."""
        if self.seen is None or self.seen.batch is not batch:
            self.begin(batch)
        assert self.seen is not None
        return self.seen

    def views(
        self,
        model: nn.Module,
        batch: Dataset,
        searches: "Search | Sequence[Search]",
        *,
        targets: Tensor | None = None,
        keep: tuple[int, ...] = (),
        bn_mode: BatchNormMode = "eval",
    ) -> Views:
        """The batch under attack: by one search, or by several, whose answers are then the candidates.

        ``keep`` are the numbers of the iterates that the loss needs; ``targets`` (B, C) are what the attack compares with,
        by default those of the batch. A second gradient on a batch sees the perturbations of the first.
        """
        several = (searches,) if isinstance(searches, Search) else tuple(searches)
        anew = [attrs.evolve(one, attack=self.reseeded(one.attack)) for one in several]
        given = batch.targets if targets is None else targets
        found = self.tape.recall(lambda: search(anew, model, batch, targets=given, keep=keep, bn_mode=bn_mode))
        self.seen = Views(batch, found)
        return self.seen

    def scheduled(self, threat: ThreatModel) -> ThreatModel:
        """The set at the radius of this moment."""
        factor = self.recipe.radius(self.progress) * self.factors["radius"]
        return threat if factor == 1 else threat.scaled(factor)

    def advance(self, model: nn.Module, batch: Dataset, threat: ThreatModel) -> None:
        """One step of the weights on a batch, by the update of the run."""
        descent = Descent(self, model, batch, self.scheduled(threat), self.ahead)
        self.recipe.update(descent)
        descent.close()

    def descend(self, losses: Tensor) -> None:
        """One optimiser step on the mean of the losses (B,), over all processes, for defenses that own their steps.

        Raises ``DivergenceError`` where the loss or its gradient is not finite; the weights stay as they are.
        """
        self.check_losses(losses, losses.shape[-1] if losses.ndim else 1)
        mean = self.backward(losses)
        self.apply()
        self.report(mean)

    def check_losses(self, losses: Tensor, count: int) -> None:
        """Raises ``PluginError`` for losses that were reduced."""
        if losses.ndim not in (1, 2) or losses.shape[-1] != count:
            raise PluginError(
                f"{self.defense} gave a loss of shape {tuple(losses.shape)}; it must be one number per example, "
                f"not reduced: ({count},), or a row of them for each of several perturbations"
            )

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
        rows = losses if losses.ndim == 2 else losses[None]
        mean = self.mean(rows)
        self._check_finite("loss", mean)
        count = float(self.processes.sum(torch.tensor(float(rows.shape[1]), device=self.device)))
        self.optimizer.zero_grad(set_to_none=True)
        self.recipe.direction(rows / count, self.parameters, self)
        limit = self.recipe.clip or math.inf
        self._check_finite("gradient's norm", float(nn.utils.clip_grad_norm_(self.parameters, limit)))
        return mean

    def apply(self) -> None:
        """The optimiser's step along the gradients in the weights, at the scheduled learning rate."""
        rate = self.recipe.rate(self.progress) * self.factors["lr"]
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()

    def report(self, loss: float) -> None:
        """Notes a step's mean loss, and shows it."""
        self.log(loss=loss, lr=self.optimizer.param_groups[0]["lr"])
        self.display(self.progress, f"epoch {self.epoch + 1}/{self.recipe.epochs}, loss {loss:.4f}{self._standing()}")

    def _standing(self) -> str:
        return "" if self.best_score is None else f", best score {self.best_score:.4f}"

    def _check_finite(self, name: str, value: float) -> None:
        if math.isfinite(value):
            return
        kept = (
            f"the weights after epoch {self.epoch} are in {self.last_path}" if self.epoch else "no epoch was finished"
        )
        raise DivergenceError(
            f"training diverged: the {name} is {value} in epoch {self.epoch + 1}; {kept}; "
            "try a smaller lr, clip=1.0 or a slower schedule of the radius"
        )

    def log(self, **metrics: float) -> None:
        """Notes numbers; each epoch's mean of each goes to ``metrics.jsonl``."""
        for name, value in metrics.items():
            self._sums.setdefault(name, []).append(float(value))

    def validate(self, model: nn.Module, threat: ThreatModel) -> None:
        """Ends an epoch: scores the model on the held-out examples, and asks the monitors.

        The weights are kept where none before was better; a tie goes to the later. An epoch that is rolled back is never
        the best one: its score may be that of an attack which has gone blind.
        """
        score = self._score(model, threat) if len(self.held_out) else None
        for monitor in self.recipe.monitors:
            self._actions.extend(monitor.after_epoch(model, threat, self))
        if score is not None and not any(isinstance(action, RollBack) for action in self._actions):
            self._keep_best(model, score)

    def _score(self, model: nn.Module, threat: ThreatModel) -> float:
        score, clean = self._held_out_means(model, threat)
        self.log(score=score, clean=clean)
        return score

    def _keep_best(self, model: nn.Module, score: float) -> None:
        if self.best_score is None or score >= self.best_score:
            self.best_score, self.best_epoch = score, self.epoch
            if self.processes.main:
                save_weights(model, self.best_path)

    def _held_out_means(self, model: nn.Module, threat: ThreatModel) -> tuple[float, float]:
        mine = self.held_out.select(self.processes.share(torch.arange(len(self.held_out))))
        right = torch.zeros(2, dtype=torch.float64, device=self.device)
        with evaluating(model), torch.no_grad():
            for batch in mine.batches(self.recipe.batch_size):
                here = batch.to(self.device)
                right[0] += self.defense.score(model, here, threat, self).sum()
                right[1] += (model(here.inputs).argmax(1) == here.labels).sum()
        score, clean = (self.processes.sum(right) / len(self.held_out)).tolist()
        return score, clean

    def finish(self, model: nn.Module) -> nn.Module:
        """The model with the best weights (the last ones where nothing was held out), in eval mode."""
        if self.best_epoch is None and self.processes.main:
            save_weights(model, self.best_path)
        self.processes.wait()
        load_weights(model, self.best_path)
        return model.eval()

    @property
    def last_path(self) -> Path:
        return self.folder / "last.safetensors"

    @property
    def best_path(self) -> Path:
        return self.folder / "best.safetensors"

    def _close_epoch(self, seconds: float) -> None:
        means = {name: sum(values) / len(values) for name, values in self._sums.items()}
        self.history.append({"epoch": self.epoch + 1, **means, "seconds": round(seconds, 3)})
        self._sums.clear()
        actions, self._actions = self._actions, []
        for action in actions:
            self._act(action)
        self.epoch += 1
        if self.processes.main:
            save_weights(self.model, self.last_path)
            lines = "".join(json.dumps(line) + "\n" for line in self.history)
            write_atomic(self.folder / "metrics.jsonl", lines.encode())
            # the state comes last: what it says of the other files is then true
            save_state(self._state(), self.folder / "state.pt")
        self.processes.wait()
        self._tell_monitors()

    def _tell_monitors(self) -> None:
        for monitor in self.recipe.monitors:
            monitor.recorded(self)

    def _act(self, action: Action) -> None:
        """Does what a monitor asks for."""
        if isinstance(action, Set):
            self.factors[action.name] *= action.factor
            return
        if isinstance(action, RollBack):
            self._restore(self._saved())
            self.history[-1]["rolled_back"] = 1.0
        if not isinstance(action, RollBack) or not action.go_on:
            self.stopped = action.reason

    def _saved(self) -> dict[str, Any]:
        """The state after the epoch before this one."""
        self.processes.wait()
        state = load_state(self.folder / "state.pt", self.device)
        assert state is not None
        return state

    def _state(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "history": self.history,
            "stopped": self.stopped,
            "factors": self.factors,
            "memories": self._memories,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        """Puts back what training changes; the count of epochs and the record of them go on."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._memories = state["memories"]

    def _resume(self) -> None:
        state = load_state(self.folder / "state.pt", self.device)
        if state is None:
            # what the first epoch is rolled back to
            if self.recipe.monitors and self.processes.main:
                save_state(self._state(), self.folder / "state.pt")
            return
        self._restore(state)
        self.epoch, self.history = state["epoch"], state["history"]
        self.best_score, self.best_epoch = state["best_score"], state["best_epoch"]
        self.stopped, self.factors = state["stopped"], state["factors"]
