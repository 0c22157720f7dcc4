"""Certified training through a certifier's bounds."""

import attrs
from torch import Tensor, nn

from inradius import Dataset, Run, ThreatModel
from inradius.components.validators import share
from inradius_training.certification.ramped import Ramped, bound_loss


@attrs.frozen(kw_only=True)
class Certified(Ramped):
    """min E κ CE(f(x), y) + (1 − κ) CE(worst logits, y), where the worst logits are a certifier's lower bounds of the margins.

    The cross-entropy grows with every wrong logit minus the label's, so the second term is never below the
    cross-entropy of any x + δ with δ ∈ Δ(x). A union is trained on as its convex hull, in one pass (``union="each"``:
    part by part), and scored part by part. Over the first share ``ramp`` of the run the radius grows linearly from
    ``start`` to ``scale`` times that of the set, and κ falls from ``first_kappa`` = 1 to ``kappa``. BatchNorm is certified with its
    running statistics.
    Source: wong2018 (the bound as a loss), gowal2018 (the mixture and its schedule), wong2018scaling (random
    projections, ``certified(projected(estimator='median'))``).
    """

    # Gowal et al. 2018, sec. 3
    kappa: float = attrs.field(default=0.5, validator=share)

    def robust_loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The certified cross-entropy of each example, (B,)."""
        return bound_loss(self.lower(model, batch, threat, run))

    def lower(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """Lower bounds of the margins over the set, (B, K)."""
        return self.bound(self.certifier, model, batch, threat, run.epoch)
