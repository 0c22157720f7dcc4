"""Adversarial training."""

import attrs
from torch import Tensor, nn

from inradius import AdversarialDefense, Attack, Dataset, Run, ThreatModel, make
from inradius.losses import cross_entropy
from inradius.validators import component


def _pgd() -> Attack:
    # ten steps of a quarter of the radius: Rice et al. 2020, sec. 3; the inner problem wants the loss large, not just a miss
    return make("pgd(steps=10, step=0.25, keep_maximising=True)", Attack)


@attrs.frozen(kw_only=True)
class Adversarial(AdversarialDefense):
    """min E max_{δ ∈ Δ(x)} CE(f(x + δ), y), the inner problem left to an attack.

    ``bn_mode`` is what BatchNorm does inside the attack; the step on the weights is in training mode. Source: madry2018.
    """

    attack: Attack = attrs.field(factory=_pgd, validator=component(Attack))

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The cross-entropy of each attacked example, (B,)."""
        return cross_entropy(self.views(model, batch, threat, run).attacked(model), batch)
