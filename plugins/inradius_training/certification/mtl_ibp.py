"""Certified training on a mixture of the attacked and the certified loss."""

import attrs
from torch import Tensor, nn

from inradius import Attack, Certifier, Dataset, Run, ThreatModel
from inradius.components.default import default
from inradius.components.validators import component, share
from inradius.training.losses import cross_entropy
from inradius_training.certification.ramped import Ramped, bound_loss


@attrs.frozen(kw_only=True)
class MtlIBP(Ramped):
    """min E (1 − α) CE(f(x + δ), y) + α CE(worst logits, y), with δ from an attack and the worst logits from a
    certifier's bounds.

    The loss moves from a lower to an upper bound of the worst cross-entropy over Δ(x) as α goes from 0 to 1. A small α
    suits accurate networks that are certified by a search over splits; a large α suits networks that cheap bounds
    certify. Checkpoints are compared by ``judge``. The radius and the weight of the clean loss change as in
    ``certified``. Source: depalma2024.
    """

    # De Palma et al. 2024: 0.5 for CIFAR-10 at 8/255; 0.004 at 2/255
    alpha: float = attrs.field(default=0.5, validator=share)
    # De Palma et al. 2024: one step from a random start, long enough for the boundary
    attack: Attack = attrs.field(
        factory=default("pgd(steps=1, step=2.0, keep_maximising=True)", Attack, of="attack of mtl_ibp"),
        validator=component(Attack),
    )
    judge: Certifier | None = attrs.field(
        factory=default("crown()", Certifier, of="judge of mtl_ibp"),
        validator=attrs.validators.optional(component(Certifier)),
    )

    def robust_loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The mixture of attacked and certified cross-entropy of each example, (B,)."""
        attacked = cross_entropy(self.attacked(self.attack, model, batch, threat, run).attacked(model), batch)
        certified = bound_loss(self.bound(self.certifier, model, batch, threat, run.epoch))
        return (1 - self.alpha) * attacked + self.alpha * certified
