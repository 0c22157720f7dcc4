"""Adversarial training on every part of a union alike."""

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inradius import Attack, Dataset, Defense, Run, ThreatModel, make
from inradius.modes import BatchNormMode
from inradius.validators import component


def _pgd() -> Attack:
    # as adversarial training has it: Rice et al. 2020, sec. 3
    return make("pgd(steps=10, step=0.25, keep_maximising=True)", Attack)


@attrs.frozen(kw_only=True)
class AverageParts(Defense):
    """min E mean_p max_{δ ∈ Δ_p(x)} CE(f(x + δ), y) over the parts p of a union, each inner problem left to an attack.

    "AVG" in the literature, where the thesis augments the data with every part's perturbations; on a set of one part it is
    adversarial training. ``bn_mode`` is what BatchNorm does inside the attack.
    Source: tramer2019.
    """

    positional = ("attack",)

    attack: Attack = attrs.field(factory=_pgd, validator=component(Attack))
    # running statistics then see no iterates of the attack
    bn_mode: BatchNormMode = attrs.field(
        default="eval", validator=attrs.validators.in_(("eval", "train", "train_notrack"))
    )

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The mean over the parts of the cross-entropy of each attacked example, (B,)."""
        attack = run.reseeded(self.attack)
        deltas = [
            attack(model, batch.inputs, batch.labels, part, index=batch.index, bn_mode=self.bn_mode).delta
            for part in threat.parts()
        ]
        # one pass, so that the statistics of a batch are those of all parts together
        logits = model(torch.cat([batch.inputs + delta for delta in deltas]))
        losses = F.cross_entropy(logits, batch.labels.repeat(len(deltas)), reduction="none")
        return losses.view(len(deltas), -1).mean(0)

    def score(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """Which examples withstand the attack on every part, (B,)."""
        fooled = [
            self.attack(model, batch.inputs, batch.labels, part, index=batch.index).success for part in threat.parts()
        ]
        return ~torch.stack(fooled).any(0)
