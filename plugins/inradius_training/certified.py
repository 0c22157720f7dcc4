"""Certified training."""

from typing import get_args

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inradius import Certifier, Dataset, Defense, Run, ThreatModel, make
from inradius.certifier import Parts
from inradius.validators import component, positive, share


def _interval() -> Certifier:
    return make("interval()", Certifier)


def worst_logits(lower: Tensor) -> Tensor:
    """Logits no better than any that the set allows, the label's first: 0 and minus each margin's bound, (B, K + 1)."""
    return F.pad(-lower, (1, 0))


@attrs.frozen(kw_only=True)
class Certified(Defense):
    """min E κ CE(f(x), y) + (1 − κ) CE(worst logits, y), the worst logits from a certifier's lower bounds of the margins.

    The cross-entropy grows with every wrong logit less the label's, so the second term is never below the cross-entropy
    of any x + δ with δ ∈ Δ(x). A union is trained on as its convex hull, in one pass (``parts="each"``: part by part),
    and scored part by part. Over the first ``ramp`` of the run the radius grows linearly from ``start`` to ``scale`` times
    that of the set, and κ falls from 1 to ``kappa``. BatchNorm is certified with its running statistics.
    Source: wong2018 (the bound as a loss), gowal2018 (the mixture and its schedule).
    """

    positional = ("certifier",)

    certifier: Certifier = attrs.field(factory=_interval, validator=component(Certifier))
    # a third of the run: Wong and Kolter 2018, 20 of 60 epochs
    ramp: float = attrs.field(default=1 / 3, validator=share)
    # a tenth of the radius: Wong and Kolter 2018, from 0.01 to 0.1
    start: float = attrs.field(default=0.1, validator=share)
    scale: float = attrs.field(default=1.0, validator=positive)
    # Gowal et al. 2018, sec. 3
    kappa: float = attrs.field(default=0.5, validator=share)
    # one pass instead of one for each part
    parts: Parts = attrs.field(default="hull", validator=attrs.validators.in_(get_args(Parts)))

    def ramped(self, progress: float) -> float:
        """How far the schedules are at a share of the run, in [0, 1]."""
        return min(1.0, progress / self.ramp) if self.ramp else 1.0

    def factor(self, progress: float) -> float:
        """The radius trained for at a share of the run, as a multiple of the set's."""
        return self.scale * (self.start + (1 - self.start) * self.ramped(progress))

    def clean_weight(self, progress: float) -> float:
        """κ at a share of the run."""
        return 1 - (1 - self.kappa) * self.ramped(progress)

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The mixture of clean and certified cross-entropy of each example, (B,)."""
        clean = F.cross_entropy(model(batch.inputs), batch.labels, reduction="none")
        weight = self.clean_weight(run.progress)
        if weight == 1:
            return clean
        certified = self.certified_loss(model, batch, threat.scaled(self.factor(run.progress)))
        return weight * clean + (1 - weight) * certified

    def certified_loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel) -> Tensor:
        """An upper bound on the cross-entropy of every x + δ, (B,)."""
        lower = self.certifier.bound(model, batch.inputs, batch.labels, threat, index=batch.index, parts=self.parts)
        first = torch.zeros_like(batch.labels)
        return F.cross_entropy(worst_logits(lower), first, reduction="none")

    def score(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """Which examples have positive bounds at the whole radius, (B,): the bounds that were trained on."""
        # with gradients on: sets may have a cheaper first layer for that, where a proof asks row by row
        with torch.enable_grad():
            lower = self.certifier.bound(model, batch.inputs, batch.labels, threat, index=batch.index)
        return (lower > 0).all(1)
