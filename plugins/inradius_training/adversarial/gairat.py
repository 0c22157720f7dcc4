"""Geometry-aware instance-reweighted adversarial training."""

import math
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from inradius import AdversarialDefense, Attack, AttackedBatch, Dataset, Run, ThreatModel, UnsupportedError
from inradius.components.default import default
from inradius.components.validators import as_float, component, share
from inradius.training.losses import cross_entropy


def _number(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, float) or not math.isfinite(value):
        raise ValueError(f"{field.name}={value!r} is not allowed; allowed is a finite number")


@attrs.frozen(kw_only=True)
class GAIRAT(AdversarialDefense):
    """min E w CE(f(x + δ), y), w ∝ (1 + tanh(lam + 5 (1 − 2 κ))) / 2: examples that the attack breaks early have more weight.

    κ is the share of the attack's iterates that are classified correctly. The mean of w over a mini-batch of all
    processes is 1, and no gradient goes through it. Every w is 1 during the first share ``burn_in`` of the run. The
    attack must report which iterates are misclassified, as PGD does, and make all of its steps. Source: zhang2021.
    """

    name = "gairat"

    # Zhang et al. 2021, sec. 4: ten steps of a quarter of the radius; all are made, for each counts
    attack: Attack = attrs.field(
        factory=default("pgd(steps=10, step=0.25, keep_maximising=True)", Attack, of="attack of gairat"),
        validator=component(Attack),
    )
    # Zhang et al. 2021, sec. 4: Λ = −1, from epoch 60 of 100 on
    lam: float = attrs.field(default=-1.0, validator=_number, converter=as_float)
    burn_in: float = attrs.field(default=0.6, validator=share, converter=as_float)

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The weighted cross-entropy of each attacked example, (B,)."""
        views = self.views(model, batch, threat, run)
        losses, weights = cross_entropy(views.attacked(model), batch), self.weights(views, run)
        return losses if run.progress < self.burn_in else weights.to(losses) * losses

    def weights(self, views: AttackedBatch, run: Run) -> Tensor:
        """The weight of each example, with mean 1 over the batch of all processes, (B,)."""
        found = views.found
        if found is None or found.withstood is None or found.tried is None:
            raise UnsupportedError(
                f"{self.attack} does not report which of its iterates were misclassified; allowed are attacks that do, such as "
                "pgd(keep_maximising=True)"
            )
        if bool((found.tried < found.tried.amax()).any()):
            raise UnsupportedError(
                f"{self.attack} stops after a success, so the share of its iterates is undefined; allowed are attacks "
                "that make all of their steps, such as pgd(keep_maximising=True)"
            )
        correct = found.withstood.double() / found.tried
        # (1 + tanh z) / 2 = σ(2 z), which keeps its relative precision where it is small
        weights = torch.sigmoid(2 * (self.lam + 5 * (1 - 2 * correct)))
        return weights / run.mean(weights)
