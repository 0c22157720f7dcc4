"""Adversarial training."""

import attrs
from torch import Tensor, nn

from inradius import AdversarialDefense, Attack, Dataset, InnerProblem, Run, ThreatModel
from inradius.components.default import default
from inradius.components.validators import as_float, component, positive
from inradius.training.losses import cross_entropy


@attrs.frozen(kw_only=True)
class Adversarial(AdversarialDefense):
    """min E max_{δ ∈ Δ(x)} CE(f(x + δ), y), where an attack solves the inner problem.

    With ``scale`` the perturbations of training are those of the set at ``scale`` times its radius. Checkpoints are
    compared at the radius itself. ``bn_mode`` is the mode of BatchNorm inside the attack; the step on the weights is in
    training mode.
    Source: madry2018.
    """

    # ten steps of a quarter of the radius: Rice et al. 2020, sec. 3; the inner problem wants the loss large, not just a miss
    attack: Attack = attrs.field(
        factory=default("pgd(steps=10, step=0.25, keep_maximising=True)", Attack, of="attack of adversarial"),
        validator=component(Attack),
    )
    scale: float = attrs.field(default=1.0, validator=positive, converter=as_float)

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The cross-entropy of each attacked example, (B,)."""
        trained = threat if self.scale == 1 else threat.scaled(self.scale)
        views = run.views(model, batch, InnerProblem(attack=self.attack, threat=trained), bn_mode=self.bn_mode)
        return cross_entropy(views.attacked(model), batch)
