"""Adversarial training."""

import attrs
from torch import Tensor, nn

from inradius import AdversarialDefense, Attack, Dataset, InnerProblem, Run, ThreatModel
from inradius.components.default import default
from inradius.components.validators import as_float, component, flag, positive
from inradius.training.losses import cross_entropy
from inradius_training.adversarial.rolling import Rolling


@attrs.frozen(kw_only=True)
class Adversarial(AdversarialDefense):
    """min E max_{δ ∈ Δ(x)} CE(f(x + δ), y), where an attack solves the inner problem.

    With ``scale`` the perturbations of training are those of the set at ``scale`` times its radius. Checkpoints are
    compared at the radius itself. ``bn_mode`` is the mode of BatchNorm inside the attack; the step on the weights is in
    training mode. With ``previous`` the attack starts from the perturbations of the mini-batch before, place by place and
    projected to the sets of its own examples; with ``fgsm()`` that is the third row of table 4.1 of the thesis.
    Source: madry2018, wong2020fast (previous).
    """

    # ten steps of a quarter of the radius: Rice et al. 2020, sec. 3; the inner problem wants the loss large, not just a miss
    attack: Attack = attrs.field(
        factory=default("pgd(steps=10, step=0.25, keep_maximising=True)", Attack, of="attack of adversarial"),
        validator=component(Attack),
    )
    scale: float = attrs.field(default=1.0, validator=positive, converter=as_float)
    previous: bool = attrs.field(default=False, validator=flag)

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The cross-entropy of each attacked example, (B,)."""
        trained = threat if self.scale == 1 else threat.scaled(self.scale)
        last = Rolling(run.memory(self)) if self.previous else None
        start = None if last is None else last.rows(batch.inputs)
        views = run.views(
            model, batch, InnerProblem(attack=self.attack, threat=trained, start=start), bn_mode=self.bn_mode
        )
        if last is not None:
            last.keep(views.delta)
        return cross_entropy(views.attacked(model), batch)
