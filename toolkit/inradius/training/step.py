"""One step of the weights: losses, their gradient, and the optimiser's step."""

import math
from collections.abc import Callable

import attrs
import torch
from torch import Tensor, nn

from inradius.data.dataset import Dataset
from inradius.errors import PluginError
from inradius.models.modes import at_least
from inradius.sets.threat_model import ThreatModel
from inradius.training.attacked_batch import AttackedBatch
from inradius.training.checks import check_finite, check_losses
from inradius.training.descent import Descent
from inradius.training.precision import GradientOverflowError
from inradius.training.recipe import Recipe
from inradius.training.slots.direction import Direction
from inradius.training.state import RunState


@attrs.define(eq=False, kw_only=True)
class Step(Descent):
    """One step of the weights on a mini-batch; ``loss`` gives the defense's loss of a batch, (B,) or (k, B)."""

    recipe: Recipe
    threat: ThreatModel
    loss: Callable[[Dataset], Tensor]
    _first: float | None = attrs.field(init=False, default=None)
    _observed: bool = attrs.field(init=False, default=False)

    def take(self) -> None:
        """Moves the weights by the update of the recipe, and notes the loss."""
        try:
            self.recipe.update(self)
        except GradientOverflowError:
            skip(self.run)
        if self._first is not None:
            report(self.run, self._first)

    def gradient(self, *, ahead: bool = False, reattack: bool = False) -> float:
        batch = self.ahead if ahead else self.batch
        if batch is None:
            raise PluginError(
                "there is no next batch at the end of an epoch; allowed is ahead=True where descent.ahead is given"
            )
        self.run.tape.rewind(batch, anew=reattack)
        with self.run.optimisation.precision.training():
            losses = self._losses(batch)
        if not (self._observed or ahead):
            # before the gradient, which may be too large for a step and then leaves this one out
            self._observed = True
            self._observe(batch)
        mean = backward(self.run, self.recipe.direction, losses)
        if self._first is None and not ahead:
            self._first = mean
        return mean

    def step(self) -> None:
        self.run.optimisation.apply(self.run.rate)

    def _losses(self, batch: Dataset) -> Tensor:
        """Each example's loss, with penalties, (B,) or (k, B)."""
        run, recipe = self.run, self.recipe
        run.seen = AttackedBatch(batch)
        losses = self.loss(batch)
        check_losses(run.defense, losses, len(batch))
        weights = recipe.sampler.weights(batch.labels, run)
        if weights is not None:
            losses = losses * weights
        for regularizer in recipe.regularizers:
            losses = losses + regularizer(self.model, run.look(batch), self.threat, run)
        return losses

    def _observe(self, batch: Dataset) -> None:
        """Tells the sampler which predictions of the batch were wrong."""
        sampler, run = self.recipe.sampler, self.run
        if not sampler.observes:
            return
        mistakes = run.look(batch).mistakes()
        if mistakes is None:
            raise PluginError(
                f"{sampler} asks which predictions were wrong, and {run.defense} keeps none; allowed are defenses that take "
                "their logits from the views of the run"
            )
        sampler.observe(run.processes.gather(batch.labels), run.processes.gather(mistakes), run)


def backward(run: RunState, direction: Direction, losses: Tensor) -> float:
    """The mean of the losses (B,) or (k, B); leaves the gradient to descend along in the weights, clipped.

    Raises ``DivergenceError`` where the loss or its gradient is not finite.
    """
    optimisation = run.optimisation
    rows = at_least(losses if losses.ndim == 2 else losses[None], torch.float32)
    mean = run.mean(rows)
    check_finite(run, "loss", mean)
    count = float(run.processes.sum(torch.tensor(float(rows.shape[1]), device=run.device)))
    optimisation.optimizer.zero_grad(set_to_none=True)
    precision, parameters = optimisation.precision, optimisation.parameters
    with precision.scaling(parameters) as scaled:
        direction(scaled(rows / count), parameters, run)
    norm = float(nn.utils.clip_grad_norm_(parameters, run.recipe.clip or math.inf))
    if precision.scales and not math.isfinite(norm) and not precision.exhausted:
        raise GradientOverflowError(f"the gradient's norm is {norm} at the scale {precision.scale}")
    check_finite(run, "gradient's norm", norm)
    return mean


def descend(run: RunState, direction: Direction, losses: Tensor) -> None:
    """Takes one optimiser step on the mean of the losses (B,) or (k, B)."""
    check_losses(run.defense, losses, losses.shape[-1] if losses.ndim else 1)
    try:
        mean = backward(run, direction, losses)
    except GradientOverflowError:
        skip(run)
        return
    run.optimisation.apply(run.rate)
    report(run, mean)


def skip(run: RunState) -> None:
    """Leaves a step out whose gradient was too large for float16, and notes that."""
    run.optimisation.skip()
    run.log(skipped=1.0)


def report(run: RunState, loss: float) -> None:
    """Notes a step's mean loss, and shows it."""
    run.log(loss=loss, lr=run.optimizer.param_groups[0]["lr"])
    best = "" if run.best_score is None else f", best score {run.best_score:.4f}"
    run.display(run.progress, f"epoch {run.epoch + 1}/{run.recipe.epochs}, loss {loss:.4f}{best}")
