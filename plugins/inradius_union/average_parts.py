"""Adversarial training on every part of a union alike."""

import attrs
import torch
from torch import Tensor, nn

from inradius import AdversarialDefense, Attack, Dataset, InnerProblem, Run, ThreatModel
from inradius.components.default import default
from inradius.components.validators import component
from inradius.training.losses import cross_entropy


def _pgd() -> Attack:
    # as adversarial training has it: Rice et al. 2020, sec. 3
    return default("pgd(steps=10, step=0.25, keep_maximising=True)", Attack, of="attack of average_parts")()


@attrs.frozen(kw_only=True)
class AverageParts(AdversarialDefense):
    """min E mean_p max_{δ ∈ Δ_p(x)} CE(f(x + δ), y) over the parts p of a union, each inner problem left to an attack.

    "AVG" in the literature, where the thesis augments the data with every part's perturbations; on a set of one part it is
    adversarial training. ``bn_mode`` is what BatchNorm does inside the attack.
    Source: tramer2019.
    """

    attack: Attack = attrs.field(factory=_pgd, validator=component(Attack))

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The cross-entropy of each example under the attack on every part, (P, B)."""
        searches = [InnerProblem(attack=self.attack, threat=part) for part in threat.members()]
        return cross_entropy(run.views(model, batch, searches, bn_mode=self.bn_mode).each(model), batch)

    def score(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """True for the examples that the attack breaks on no part, (B,)."""
        fooled = [
            self.attack(model, batch.inputs, batch.labels, part, index=batch.index).success for part in threat.members()
        ]
        return ~torch.stack(fooled).any(0)
