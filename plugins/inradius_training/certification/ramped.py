"""The shared part of certified training: schedules of the radius and of the clean loss, and losses from bounds."""

from abc import abstractmethod
from typing import get_args

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inradius import (
    Attack,
    AttackedBatch,
    Certifier,
    Dataset,
    Defense,
    InnerProblem,
    Oracles,
    Run,
    ThreatModel,
    UnsupportedError,
)
from inradius.certifiers.certifier import UnionMode
from inradius.components.default import default
from inradius.components.validators import component, positive, share
from inradius.training.losses import cross_entropy


def worst_logits(lower: Tensor) -> Tensor:
    """Logits no better than any that the set allows, the label's first: 0 and minus each margin's bound, (B, K + 1)."""
    return F.pad(-lower, (1, 0))


def bound_loss(lower: Tensor) -> Tensor:
    """An upper bound on the cross-entropy of every x + δ, from lower bounds (B, K) of the margins, (B,)."""
    first = torch.zeros(len(lower), dtype=torch.int64, device=lower.device)
    return F.cross_entropy(worst_logits(lower), first, reduction="none")


@attrs.frozen(kw_only=True)
class Ramped(Defense):
    """min E κ CE(f(x), y) + (1 − κ) · a loss from a certifier's bounds, over a set whose radius grows.

    Over the first share ``ramp`` of the run the radius grows linearly from ``start`` to ``scale`` times that of the
    set, and κ falls from ``first_kappa`` to ``kappa``. Checkpoints are compared by the share of held-out examples with positive
    bounds at the full radius, part by part of a union. The bounds are those of ``judge``, or of the certifier of
    training where ``judge`` is None. BatchNorm is bounded with its running statistics.
    """

    positional = ("certifier",)

    certifier: Certifier = attrs.field(
        factory=default("interval()", Certifier, of="certifier of certified training"), validator=component(Certifier)
    )
    # a third of the run: Wong and Kolter 2018, 20 of 60 epochs
    ramp: float = attrs.field(default=1 / 3, validator=share)
    # a tenth of the radius: Wong and Kolter 2018, from 0.01 to 0.1
    start: float = attrs.field(default=0.1, validator=share)
    scale: float = attrs.field(default=1.0, validator=positive)
    # 1: Gowal et al. 2018, sec. 3
    first_kappa: float = attrs.field(default=1.0, validator=share)
    # the last weight of the clean loss
    kappa: float = attrs.field(default=0.0, validator=share)
    # one pass for the hull, instead of one for each part
    union: UnionMode = attrs.field(default="hull", validator=attrs.validators.in_(get_args(UnionMode)))
    judge: Certifier | None = attrs.field(default=None, validator=attrs.validators.optional(component(Certifier)))

    def ramped(self, progress: float) -> float:
        """The progress of the schedules at a share of the run, in [0, 1]."""
        return min(1.0, progress / self.ramp) if self.ramp else 1.0

    def factor(self, progress: float) -> float:
        """The radius of training at a share of the run, as a multiple of the set's."""
        return self.scale * (self.start + (1 - self.start) * self.ramped(progress))

    def clean_weight(self, progress: float) -> float:
        """κ at a share of the run."""
        return self.first_kappa - (self.first_kappa - self.kappa) * self.ramped(progress)

    @abstractmethod
    def robust_loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The loss over the set at its scheduled radius, (B,)."""

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The mixture of the clean cross-entropy and the loss over the set, (B,)."""
        if batch.targets is not None:
            raise UnsupportedError(
                f"{self} bounds the margins of a label, and these labels are mixed; allowed are transforms that do not mix labels"
            )
        # computed also where its weight is 0, because BatchNorm's running statistics come from these passes
        clean, weight = cross_entropy(run.look(batch).clean(model), batch), self.clean_weight(run.progress)
        if weight == 1:
            return clean
        robust = self.robust_loss(model, batch, threat.scaled(self.factor(run.progress)), run)
        return weight * clean + (1 - weight) * robust

    def bound(self, certifier: Certifier, model: nn.Module, batch: Dataset, threat: Oracles, epoch: int = 0) -> Tensor:
        """Lower bounds of the margins to train on, (B, K); random projections are drawn anew for each epoch."""
        # a certifier's random numbers depend on the example's number alone
        index = batch.index + (epoch << 32)
        return certifier.bound(model, batch.inputs, batch.labels, threat, index=index, union=self.union)

    def attacked(
        self, attack: Attack, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run
    ) -> AttackedBatch:
        """The batch with the perturbations that an attack finds in the set; its random numbers are those of the epoch."""
        return run.views(model, batch, InnerProblem(attack=attack, threat=threat))

    def score(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """True for the examples with positive bounds at the full radius, (B,)."""
        judge = self.judge or self.certifier
        # with gradients on, because some sets then have a cheaper first layer than a proof, which asks row by row
        with torch.enable_grad():
            lower = judge.bound(model, batch.inputs, batch.labels, threat, index=batch.index)
        return (lower > 0).all(1)
