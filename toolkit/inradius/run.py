"""One training run: what a defense is given beside the model, the data and the set."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import torch
from torch import Tensor, nn

from inradius.data import Dataset
from inradius.errors import DivergenceError, InputError, PluginError
from inradius.modes import evaluating
from inradius.streams import Streams
from inradius.threat import ThreatModel
from inradius.training.checkpoint import load_state, load_weights, save_state, save_weights, write_atomic
from inradius.training.display import Display
from inradius.training.processes import Processes
from inradius.training.recipe import Recipe, derive

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
        while self.epoch < self.recipe.epochs:
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
        generator = torch.Generator().manual_seed(derive(self.seed, "order", self.epoch))
        # nearly equal sizes: a last batch of one example would break BatchNorm
        count = max(1, math.ceil(len(data) / self.recipe.batch_size))
        for number, rows in enumerate(torch.randperm(len(data), generator=generator).tensor_split(count)):
            if len(rows) < self.processes.count:
                raise InputError(
                    f"a batch of {len(rows)} examples cannot be shared by {self.processes.count} processes"
                )
            self.progress = (self.epoch + number / count) / self.recipe.epochs
            yield self._augmented(data.select(self.processes.share(rows)).to(self.device))

    def _augmented(self, batch: Dataset) -> Dataset:
        if self.recipe.augment is None:
            return batch
        return self.recipe.augment(batch, Streams(derive(self.seed, "augment", self.epoch), batch.index))

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

    def descend(self, losses: Tensor) -> None:
        """One optimiser step on the mean of the losses (B,), over all processes.

        Raises ``DivergenceError`` where the loss or its gradient is not finite; the weights stay as they are.
        """
        if losses.ndim != 1:
            raise PluginError(
                f"{self.defense} gave a loss of shape {tuple(losses.shape)}; it must be one number per example, "
                "not reduced"
            )
        total = self.processes.sum(
            torch.stack([losses.detach().sum().double(), losses.new_tensor(len(losses)).double()])
        )
        mean, count = float(total[0] / total[1]), float(total[1])
        self._check_finite("loss", mean)
        self.optimizer.zero_grad(set_to_none=True)
        (losses.sum() / count).backward()  # type: ignore[no-untyped-call]
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.processes.sum_gradients(parameters)
        self._check_finite("gradient's norm", float(nn.utils.clip_grad_norm_(parameters, self.recipe.clip or math.inf)))
        rate = self.recipe.rate(self.progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.log(loss=mean, lr=rate)
        self.display(self.progress, f"epoch {self.epoch + 1}/{self.recipe.epochs}, loss {mean:.4f}{self._standing()}")

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
        """Scores the model on the held-out examples and keeps it where none before was better; a tie goes to the later."""
        if not len(self.held_out):
            return
        score, clean = self._held_out_means(model, threat)
        self.log(score=score, clean=clean)
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
        self.epoch += 1
        if self.processes.main:
            save_weights(self.model, self.last_path)
            lines = "".join(json.dumps(line) + "\n" for line in self.history)
            write_atomic(self.folder / "metrics.jsonl", lines.encode())
            # the state comes last: what it says of the other files is then true
            save_state(self._state(), self.folder / "state.pt")
        self.processes.wait()

    def _state(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "history": self.history,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def _resume(self) -> None:
        state = load_state(self.folder / "state.pt", self.device)
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.history = state["epoch"], state["history"]
        self.best_score, self.best_epoch = state["best_score"], state["best_epoch"]
