"""A training run, which a defense is given beside the model, the data and the set."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import attrs
from torch import Tensor, nn

from inradius.attacks.attack import Attack
from inradius.data.dataset import Dataset
from inradius.models.modes import BatchNormMode
from inradius.processes import Processes
from inradius.rng import derive
from inradius.sets.threat_model import ThreatModel
from inradius.stored.listing import LIST, begin
from inradius.training import loop, snapshot
from inradius.training.attacked_batch import AttackedBatch
from inradius.training.batches import mini_batches
from inradius.training.display import Display, silent
from inradius.training.inner_problem import InnerProblem, search
from inradius.training.recipe import Recipe
from inradius.training.state import RunState
from inradius.training.step import Step, backward, descend, report

A = TypeVar("A", bound=Attack)


class Method(Protocol):
    """The part of a defense that a run asks."""

    @property
    def seed(self) -> int: ...

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: "Run") -> Tensor: ...

    def score(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: "Run") -> Tensor: ...


@attrs.define(eq=False, kw_only=True)
class Run(RunState):
    """A training run: its state, and the loop and the steps that a defense asks it for.

    Every random number is a function of (seed, epoch, example), so a run that was stopped after an epoch goes on as if
    it had not been. Files in ``folder``: ``state.pt`` (all that resuming needs), and what can be read off it:
    ``last.safetensors``, ``best.safetensors`` (by the score on ``held_out``), ``ema.safetensors`` where the recipe asks for
    a moving average, which is then what is scored, and ``metrics.jsonl`` (a line for each epoch).
    """

    defense: Method
    recipe: Recipe

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        model: nn.Module,
        defense: Method,
        recipe: Recipe,
        held_out: Dataset,
        processes: Processes,
        display: Display = silent,
        classes: int = 0,
    ) -> Self:
        """The run in a folder. ``snapshot.resume`` restores its state from the folder; where that holds none, the run is new."""
        run = cls(
            folder=folder,
            model=model,
            defense=defense,
            recipe=recipe,
            held_out=held_out,
            processes=processes,
            display=display,
            classes=classes,
        )
        snapshot.resume(run, keep_start=bool(recipe.monitors))
        return run

    def part(self, name: str, model: nn.Module, defense: Method, held_out: Dataset) -> Self:
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
        shared: dict[str, Any] = {name: getattr(self, name) for name in ("recipe", "processes", "display", "classes")}
        return type(self).open(folder, model=model, defense=defense, held_out=held_out, **shared)

    def epochs(self) -> Iterator[int]:
        """The numbers of the epochs still to run, from 0; after each the run is saved."""
        return loop.epochs(self, self.recipe.monitors)

    def batches(self, data: Dataset) -> Iterator[Dataset]:
        """The data in a new order each epoch, augmented, as mini-batches of nearly equal sizes on the run's device.

        The examples keep their numbers. Where several processes train, each gets its part of every batch.
        """
        return mini_batches(self, self.recipe, data)

    def count(self, data: Dataset) -> int:
        """The number of batches in an epoch."""
        return self.recipe.sampler.count(data, self.recipe.batch_size)

    def validate(self, model: nn.Module, threat: ThreatModel) -> None:
        """Ends an epoch: scores the model on the held-out examples, and asks the monitors.

        The weights are kept where none before was better; a tie goes to the later. Where weights are averaged, it is their
        average that is scored and kept. An epoch that is rolled back is never the best one.
        """
        loop.validate(
            self,
            self.recipe.monitors,
            model,
            threat,
            lambda judged, batch: self.defense.score(judged, batch, threat, self),
        )

    def finish(self, model: nn.Module) -> nn.Module:
        """The model with the best weights (the last ones where nothing was held out), in eval mode."""
        return loop.finish(self, model)

    def reseeded(self, attack: A) -> A:
        """The attack with random numbers of this epoch's own."""
        return attrs.evolve(attack, seed=derive(self.seed, self.defense.seed, attack.seed, self.epoch))

    def views(
        self,
        model: nn.Module,
        batch: Dataset,
        searches: InnerProblem | Sequence[InnerProblem],
        *,
        targets: Tensor | None = None,
        keep: tuple[int, ...] = (),
        bn_mode: BatchNormMode = "eval",
    ) -> AttackedBatch:
        """The batch under attack: by one search, or by several, whose answers are then the candidates.

        ``keep`` are the numbers of the iterates that the loss needs; ``targets`` (B, C) are the distributions that the attack
        compares with, by default the mixed labels of the batch, or the clean predictions where the attack compares
        predictions. Attacks do not stop early at misclassified examples here, whatever ``keep_maximising`` says: training
        needs the largest objective. A second gradient on the same batch, as in SAM, reuses the perturbations of the first.
        """
        several = (searches,) if isinstance(searches, InnerProblem) else tuple(searches)
        anew = [attrs.evolve(one, attack=self.reseeded(one.attack.for_training())) for one in several]
        found = self.tape.recall(lambda: search(anew, model, batch, targets=targets, keep=keep, bn_mode=bn_mode))
        self.seen = AttackedBatch(batch, found)
        return self.seen

    def scheduled(self, threat: ThreatModel) -> ThreatModel:
        """The set at the radius of this moment."""
        factor = self.recipe.radius(self.progress) * self.factors["radius"]
        return threat if factor == 1 else threat.scaled(factor)

    def advance(self, model: nn.Module, batch: Dataset, threat: ThreatModel) -> None:
        """Takes one step of the weights on a batch, by the update of the run."""
        self.step(model, batch, self.scheduled(threat), self.ahead).take()

    def step(self, model: nn.Module, batch: Dataset, threat: ThreatModel, ahead: Dataset | None = None) -> Step:
        """One step of the weights on a batch, which is yet to be taken; an update may ask it for gradients."""
        return Step(
            run=self,
            recipe=self.recipe,
            model=model,
            batch=batch,
            ahead=ahead,
            threat=threat,
            loss=lambda given: self.defense.loss(model, given, threat, self),
        )

    def training_precision(self) -> AbstractContextManager[Any]:
        """Within it the network computes in the recipe's precision, for defenses that own their steps."""
        return self.optimisation.precision.training()

    def backward(self, losses: Tensor) -> float:
        """The mean of the losses (B,) or (k, B); leaves the gradient to descend along in the weights, clipped.

        Raises ``DivergenceError`` where the loss or its gradient is not finite.
        """
        return backward(self, self.recipe.direction, losses)

    def apply(self) -> None:
        """Takes the optimiser's step along the gradients in the weights, at the scheduled learning rate."""
        self.optimisation.apply(self.rate)

    def descend(self, losses: Tensor) -> None:
        """Takes one optimiser step on the mean of the losses (B,), over all processes, for defenses that own their steps.

        Raises ``DivergenceError`` where the loss or its gradient is not finite; the weights stay as they are.
        """
        descend(self, self.recipe.direction, losses)

    def report(self, loss: float) -> None:
        """Notes a step's mean loss, and shows it, for defenses that own their steps."""
        report(self, loss)
