"""Defenses: they train a network. Three tiers; a method overrides the lowest one that suffices."""

from abc import ABC
from collections.abc import Mapping
from typing import ClassVar, get_args

import attrs
import torch
from torch import Tensor, nn

from inradius.attacks.attack import Attack
from inradius.certifiers.certifier import Certifier
from inradius.components.component import Component
from inradius.components.validators import component
from inradius.data.checks import check_labels
from inradius.data.dataset import Dataset
from inradius.errors import InputError, PluginError
from inradius.models.check import check_forward
from inradius.models.modes import BatchNormMode, evaluating
from inradius.sets.oracles import Oracles
from inradius.sets.threat_model import ThreatModel
from inradius.training.attacked_batch import AttackedBatch
from inradius.training.inner_problem import InnerProblem
from inradius.training.run import Run

# the slots of a run; those of the first line act within a step
STEP_SLOTS = frozenset({"regularizers", "direction", "update"})
SLOTS = STEP_SLOTS | {"transforms", "sampler", "radius", "monitors"}


@attrs.frozen(kw_only=True)
class Defense(Component, ABC):
    """A way to train. Tier 1 is a loss per example, tier 2 owns one mini-batch, tier 3 owns the run."""

    # whether ``train`` must be given a set of perturbations
    needs_set: ClassVar[bool] = True
    # whether what is trained is a classifier of the data, which the command line tries out and tells how to evaluate
    classifies: ClassVar[bool] = True

    seed: int = 0

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """Tier 1: the loss of each example, (B,), never reduced; the model is in training mode.

        Losses under several perturbations are rows of (k, B), whose gradients the run's direction makes one.
        """
        raise PluginError(
            f"{self} overrides none of loss, step and fit, so it cannot train; override the lowest that suffices"
        )

    def step(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> None:
        """Tier 2: one mini-batch; by default one step of the run's update on the mean of ``loss``."""
        run.advance(model, batch, threat)

    def fit(self, model: nn.Module, data: Dataset, threat: ThreatModel, run: Run) -> nn.Module:
        """Tier 3: the whole run; by default epochs of ``step`` over shuffled mini-batches, validated after each."""
        for _ in run.epochs():
            model.train()
            for batch in run.batches(data):
                self.step(model, batch, threat, run)
            run.validate(model, threat)
        return run.finish(model)

    def score(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """A mask of the held-out examples that count as right when checkpoints are compared, (B,); by default on clean inputs."""
        return model(batch.inputs).argmax(1) == batch.labels  # type: ignore[no-any-return]

    def check(self, model: nn.Module, data: Dataset, threat: ThreatModel) -> int:
        """The number of the model's logits, before a run. Raises ``InputError`` where model, data and set do not go together.

        A method whose model is no classifier of the data checks here that the model is of the kind it needs.
        """
        check_labels(data.inputs, data.labels)
        threat.check_inputs(data.inputs)
        logits = check_forward(model, data)
        if data.classes > logits.shape[1]:
            raise InputError(
                f"label {data.classes - 1} of {data.name} is out of range; "
                f"the model has the classes 0 to {logits.shape[1] - 1}"
            )
        return int(logits.shape[1])

    def scored_by(self) -> str:
        """The meaning of ``score`` in words, for the record of a run."""
        return "clean accuracy" if type(self).score is Defense.score else f"the score of {self.spec(full=True)}"

    def slots(self) -> Mapping[str, str]:
        """Specs for the slots of the run that the caller leaves open, by their names, as in ``{"direction": "min_norm()"}``."""
        return {}

    def unused_slots(self) -> frozenset[str]:
        """The slots that this method has no place for, so that asking for them is refused.

        By default a method that overrides ``step`` makes its own steps, and one that overrides ``fit`` uses no slot. A method
        with optimisers of its own may name ``optimizer``, ``lr``, ``momentum``, ``weight_decay``, ``clip``,
        ``ema``, ``precision`` and ``compile`` too.
        """
        if type(self).fit is not Defense.fit:
            return frozenset(SLOTS)
        return STEP_SLOTS if type(self).step is not Defense.step else frozenset()

    def proved(
        self, trained: nn.Module, batch: Dataset, threat: ThreatModel, certifier: Certifier
    ) -> tuple[Tensor, Tensor]:
        """The predictions of a trained model that are right, and those that are certified, masks (B,), (B,).

        By default the certifier's proofs of the labels; a method whose model carries proofs of its own gives those.
        """
        found = certifier(trained, batch.inputs, batch.labels, threat, index=batch.index)
        with evaluating(trained), torch.no_grad():
            return trained(batch.inputs).argmax(1) == batch.labels, found.counted()

    def trained_spec(self, spec: str, threat: ThreatModel, trained: nn.Module) -> str:
        """The spec of the model that a run's weights fit, given that of the model it began with; by default the same."""
        return spec


@attrs.frozen(kw_only=True)
class AdversarialDefense(Defense):
    """A defense that learns from the perturbations of an attack; a method adds its ``loss``, and a default for ``attack``.

    ``bn_mode`` is what BatchNorm does inside the attack: by default running statistics, which then see none of its iterates.
    In training the attack looks for the largest objective, also where it would stop at an example that is misclassified.
    Checkpoints are compared by the share of held-out examples that withstand it.
    """

    positional = ("attack",)

    attack: Attack = attrs.field(validator=component(Attack))
    bn_mode: BatchNormMode = attrs.field(default="eval", validator=attrs.validators.in_(get_args(BatchNormMode)))

    def views(
        self,
        model: nn.Module,
        batch: Dataset,
        threat: Oracles,
        run: Run,
        *,
        targets: Tensor | None = None,
        keep: tuple[int, ...] = (),
    ) -> AttackedBatch:
        """The batch under the attack; ``keep`` are the numbers of the iterates that the loss needs."""
        one = InnerProblem(attack=self.attack, threat=threat)
        return run.views(model, batch, one, targets=targets, keep=keep, bn_mode=self.bn_mode)

    def score(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """True for the examples that the attack does not break, (B,)."""
        return ~self.attack(model, batch.inputs, batch.labels, threat, index=batch.index).success

    def scored_by(self) -> str:
        own = type(self).score is not AdversarialDefense.score
        return super().scored_by() if own else f"accuracy under {self.attack.spec(full=True)}"
