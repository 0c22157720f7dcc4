"""The shared part of training on the best targeted attack: one perturbation of each example for every wrong class."""

import attrs
import torch
from torch import Tensor, nn

from inradius import AdversarialDefense, Attack, AttackedBatch, Dataset, InnerProblem, Oracles, Run
from inradius.components.default import default
from inradius.components.validators import component


@attrs.frozen(kw_only=True)
class WrongClasses(AdversarialDefense):
    """A defense whose attack targets every wrong class j of an example in turn: δ_j maximises M_j = z_j − z_y.

    For mixed labels, y is the label of the data, while the cross-entropy takes the mixture.
    """

    # Robey et al. 2023, table 1: BETA-AT¹⁰, steps of 2 / 255 for ε = 8 / 255
    attack: Attack = attrs.field(
        factory=default(
            "pgd(steps=10, step=0.25, objective=logit_difference(), keep_maximising=True)",
            Attack,
            of="attack of beta_at and sbeta_at",
        ),
        validator=component(Attack),
    )

    def candidates(self, model: nn.Module, batch: Dataset, threat: Oracles, run: Run) -> tuple[AttackedBatch, Tensor]:
        """The batch with a perturbation for each wrong class, and these classes, (K − 1, B)."""
        goals = wrong_classes(batch.labels, run.classes)
        searches = [
            InnerProblem(attack=attrs.evolve(self.attack, seed=self.attack.seed + place), threat=threat, goal=goal)
            for place, goal in enumerate(goals)
        ]
        return run.views(model, batch, searches, bn_mode=self.bn_mode), goals


def wrong_classes(labels: Tensor, classes: int) -> Tensor:
    """All classes except the label, those after it first, (B,) -> (K − 1, B)."""
    return (labels + torch.arange(1, classes, device=labels.device)[:, None]) % classes


def leads(logits: Tensor, goals: Tensor, labels: Tensor) -> Tensor:
    """M_j under the perturbation for class j: its logit minus the label's, (k, B, C), (k, B), (B,) -> (k, B)."""
    own = labels.expand(goals.shape)[..., None]
    return (logits.gather(-1, goals[..., None]) - logits.gather(-1, own)).squeeze(-1)
