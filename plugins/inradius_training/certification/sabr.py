"""Certified training on a small set around a point found by an attack."""

import attrs
from attrs.validators import and_, optional
from torch import Tensor, nn

from inradius import Attack, Certifier, Dataset, Run, ThreatModel
from inradius.components.default import default
from inradius.components.validators import component, positive, share
from inradius_training.certification.ramped import Ramped, bound_loss
from inradius_training.certification.shrunk import Shrunk


@attrs.frozen(kw_only=True)
class Sabr(Ramped):
    """min E CE(worst logits, y), with the worst logits over a small part of Δ(x) around a point found by an attack.

    With the attack's δ in Δ(x) the part is (1 − λ) · δ + λ · Δ(x), λ = ``small``. It is a part of any convex set, and a
    part of the convex hull of a union. For ℓ∞ away from the box of valid inputs it is a box of λ times the radius. The
    loss lies between that of the part's middle and that of ``certified(kappa=0.0)``, which is the case λ = 1. It does
    not bound the loss of every point. Such networks need a tighter certifier than that of training, so checkpoints are
    compared by ``judge``. The radius and the weight of the clean loss change as in ``certified``. Source: muller2023.
    """

    # λ: Müller et al. 2023, 0.4 for MNIST at 0.1; they use 0.1 to 0.7
    small: float = attrs.field(default=0.4, validator=and_(share, positive))
    # eight steps: Müller et al. 2023; the inner problem wants the loss large, not just a miss
    attack: Attack = attrs.field(
        factory=default("pgd(steps=8, step=0.25, keep_maximising=True)", Attack, of="attack of sabr"),
        validator=component(Attack),
    )
    judge: Certifier | None = attrs.field(
        factory=default("crown()", Certifier, of="judge of sabr"), validator=optional(component(Certifier))
    )

    def robust_loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The certified cross-entropy of each example over its small set, (B,)."""
        point = self.attacked(self.attack, model, batch, threat, run).delta
        return bound_loss(self.bound(self.certifier, model, batch, Shrunk(threat, point, self.small), run.epoch))
