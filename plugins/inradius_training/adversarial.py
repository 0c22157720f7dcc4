"""Adversarial training."""

import attrs
import torch.nn.functional as F
from torch import Tensor, nn

from inradius import Attack, Dataset, Defense, Run, ThreatModel, make
from inradius.modes import BatchNormMode
from inradius.validators import component


def _pgd() -> Attack:
    # ten steps of a quarter of the radius: Rice et al. 2020, sec. 3; the inner problem wants the loss large, not just a miss
    return make("pgd(steps=10, step=0.25, keep_maximising=True)", Attack)


@attrs.frozen(kw_only=True)
class Adversarial(Defense):
    """min E max_{δ ∈ Δ(x)} CE(f(x + δ), y), the inner problem left to an attack.

    ``bn_mode`` is what BatchNorm does inside the attack; the step on the weights is in training mode. Source: madry2018.
    """

    positional = ("attack",)

    attack: Attack = attrs.field(factory=_pgd, validator=component(Attack))
    # running statistics then see no iterates of the attack
    bn_mode: BatchNormMode = attrs.field(
        default="eval", validator=attrs.validators.in_(("eval", "train", "train_notrack"))
    )

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The cross-entropy of each attacked example, (B,)."""
        attack = run.reseeded(self.attack)
        attacked = attack(model, batch.inputs, batch.labels, threat, index=batch.index, bn_mode=self.bn_mode)
        return F.cross_entropy(model(batch.inputs + attacked.delta), batch.labels, reduction="none")

    def score(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """Which examples withstand the attack, (B,)."""
        return ~self.attack(model, batch.inputs, batch.labels, threat, index=batch.index).success
