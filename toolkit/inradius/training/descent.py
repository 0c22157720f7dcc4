"""One step of the weights, as an update sees it: gradients on a mini-batch, and the optimiser's step."""

from typing import TYPE_CHECKING

from torch import Tensor, nn

from inradius.data.dataset import Dataset
from inradius.errors import PluginError
from inradius.sets.threat_model import ThreatModel
from inradius.training.checks import check_losses

if TYPE_CHECKING:
    from inradius.training.run import Run


class Descent:
    """The gradients that an update asks for, each with the loss, the regularizers and the direction of the run.

    ``ahead`` is the next mini-batch for an update with ``lookahead``, None at the end of an epoch.
    """

    def __init__(
        self, run: "Run", model: nn.Module, batch: Dataset, threat: ThreatModel, ahead: Dataset | None = None
    ) -> None:
        self.run, self.model, self.batch, self.ahead = run, model, batch, ahead
        self._threat = threat
        self._first: float | None = None
        self._observed = False

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The weights that are trained."""
        return self.run.parameters

    def gradient(self, *, ahead: bool = False, reattack: bool = False) -> float:
        """The mean loss at the present weights; its gradient, of all processes, is then in each parameter's ``grad``.

        ``ahead`` takes the next mini-batch. A batch is attacked once; ``reattack`` attacks it again, at these weights.
        Raises ``DivergenceError`` where loss or gradient is not finite.
        """
        batch = self.ahead if ahead else self.batch
        if batch is None:
            raise PluginError(
                "there is no next batch at the end of an epoch; allowed is ahead=True where descent.ahead is given"
            )
        self.run.tape.rewind(batch, anew=reattack)
        with self.run.training_precision():
            losses = self._losses(batch)
        if not (self._observed or ahead):
            # before the gradient, which may be too large for a step and then leaves this one out
            self._observed = True
            self._observe(batch)
        mean = self.run.backward(losses)
        if self._first is None and not ahead:
            self._first = mean
        return mean

    def _losses(self, batch: Dataset) -> Tensor:
        """Each example's loss, with penalties, (B,) or (k, B)."""
        run = self.run
        run.begin(batch)
        losses = run.defense.loss(self.model, batch, self._threat, run)
        check_losses(run, losses, len(batch))
        weights = run.recipe.sampler.weights(batch.labels, run)
        if weights is not None:
            losses = losses * weights
        for regularizer in run.recipe.regularizers:
            losses = losses + regularizer(self.model, run.look(batch), self._threat, run)
        return losses

    def _observe(self, batch: Dataset) -> None:
        """Tells the sampler what became of the batch."""
        sampler, run = self.run.recipe.sampler, self.run
        if not sampler.observes:
            return
        mistakes = run.look(batch).mistakes()
        if mistakes is None:
            raise PluginError(
                f"{sampler} asks which predictions were wrong, and {run.defense} keeps none; allowed are defenses that take "
                "their logits from the views of the run"
            )
        sampler.observe(run.processes.gather(batch.labels), run.processes.gather(mistakes), run)

    def step(self) -> None:
        """The optimiser's step along the gradients that are in ``grad``, at the scheduled learning rate."""
        self.run.apply()

    def close(self) -> None:
        """Notes the loss."""
        if self._first is not None:
            self.run.report(self._first)
