"""Defenses: they train a network. Three tiers; a method overrides the lowest one that suffices."""

from abc import ABC

import attrs
from torch import Tensor, nn

from inradius._component import Component
from inradius.data import Dataset
from inradius.errors import PluginError
from inradius.run import Run
from inradius.threat import ThreatModel


@attrs.frozen(kw_only=True)
class Defense(Component, ABC):
    """A way to train. Tier 1 is a loss per example, tier 2 owns one mini-batch, tier 3 owns the run."""

    seed: int = 0

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """Tier 1: the loss of each example, (B,), never reduced; the model is in training mode."""
        raise PluginError(
            f"{self} overrides none of loss, step and fit, so it cannot train; override the lowest that suffices"
        )

    def step(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> None:
        """Tier 2: one mini-batch; by default one optimiser step on the mean of ``loss``."""
        run.descend(self.loss(model, batch, threat, run))

    def fit(self, model: nn.Module, data: Dataset, threat: ThreatModel, run: Run) -> nn.Module:
        """Tier 3: the whole run; by default epochs of ``step`` over shuffled mini-batches, validated after each."""
        for _ in run.epochs():
            model.train()
            for batch in run.batches(data):
                self.step(model, batch, threat, run)
            run.validate(model, threat)
        return run.finish(model)

    def score(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """Which held-out examples count as right when checkpoints are compared, (B,); by default the clean prediction."""
        return model(batch.inputs).argmax(1) == batch.labels  # type: ignore[no-any-return]

    def trained_spec(self, spec: str, threat: ThreatModel, trained: nn.Module) -> str:
        """The spec of the model that a run's weights fit, given that of the model it began with; by default the same."""
        return spec
