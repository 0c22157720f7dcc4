"""Training on a smooth mixture of targeted attacks."""

import attrs
from torch import Tensor, nn

from inradius import Dataset, Run, ThreatModel
from inradius.components.validators import as_float, flag, radius
from inradius.training.losses import cross_entropy
from inradius_training.adversarial.wrong_classes import WrongClasses, leads


@attrs.frozen(kw_only=True)
class SBETAAT(WrongClasses):
    """min E Σ_{j≠y} w_j CE(f(x + δ_j), y), w = softmax_j(mu M_j), δ_j maximising M_j = z_j − z_y.

    With ``mu`` = 0 it is the mean over the wrong classes; with ``mu`` → ∞ it is the loss of ``beta_at``. The gradient
    goes through the weights, as the paper writes the loss. With ``detach_weights`` it does not, and the weights are
    those of the inner problem alone. Source: robey2023, Algorithm 3.
    """

    name = "sbeta_at"

    # Robey et al. 2023 name no value
    mu: float = attrs.field(default=1.0, validator=radius, converter=as_float)
    detach_weights: bool = attrs.field(default=False, validator=flag)

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The weighted cross-entropy of each example over the wrong classes, (B,)."""
        views, goals = self.candidates(model, batch, threat, run)
        logits = views.each(model)
        weights = (self.mu * leads(logits, goals, batch.labels)).softmax(0)
        if self.detach_weights:
            weights = weights.detach()
        return (weights * cross_entropy(logits, batch)).sum(0)
