"""SCORE: TRADES with squared errors."""

from typing import get_args

import attrs
from torch import Tensor, nn

from inradius import AdversarialDefense, Attack, Dataset, Run, ThreatModel
from inradius.components.validators import as_float, component, share, weight
from inradius.models.modes import BatchNormMode
from inradius.training.losses import squared_distance, targets_of
from inradius_training.distance.compared import climber


@attrs.frozen(kw_only=True)
class SCORE(AdversarialDefense):
    """min E ‖p(x) − ỹ‖² + beta · max_{δ ∈ Δ(x)} ‖p(x + δ) − p(x)‖², where ỹ gives ``smoothing`` to the other classes.

    ỹ is 1 − smoothing at the label and smoothing / (C − 1) at the other classes. The attack begins at a random point.
    BatchNorm uses the attacked batch's own statistics and keeps none of them (``bn_mode``). Source: pang2022.
    """

    attack: Attack = attrs.field(
        factory=climber("squared_distance()", "random_start=True", of="attack of score"), validator=component(Attack)
    )
    bn_mode: BatchNormMode = attrs.field(
        default="train_notrack", validator=attrs.validators.in_(get_args(BatchNormMode))
    )
    # Wu et al. 2022, table 6, after Pang et al. 2022
    beta: float = attrs.field(default=4.0, validator=weight, converter=as_float)
    # the authors' code
    smoothing: float = attrs.field(default=0.1, validator=share, converter=as_float)

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The squared error of the clean prediction and the weighted squared distance of the attacked one, (B,)."""
        views = self.views(model, batch, threat, run)
        clean = views.clean(model)
        error = (clean.softmax(1) - smoothed(targets_of(batch, clean.shape[1], clean.dtype), self.smoothing)).square()
        return error.sum(1) + self.beta * squared_distance(views.attacked(model), of=clean)


def smoothed(targets: Tensor, amount: float) -> Tensor:
    """The distributions with ``amount`` of the weight of each class shared by the other classes, (B, C) -> (B, C)."""
    others = (1 - targets) / (targets.shape[1] - 1)
    return (1 - amount) * targets + amount * others
