"""MER: maximum entropy regularization of TRADES."""

import attrs
from torch import Tensor, nn

from inradius import Dataset, Run, ThreatModel
from inradius.components.validators import as_float, weight
from inradius_training.distance.separated import Separated


@attrs.frozen(kw_only=True)
class MER(Separated):
    """min E Δ(y, p(x)) + lam · max_{δ ∈ Δ(x)} Δ(p(x), p(x + δ)) − beta_cle · H(p(x)) − beta_adv · H(p(x + δ)).

    For ``psi="negative_entropy"``, Δ is KL and H is the entropy; with both betas 0 it is TRADES. For ``"squares"``, Δ
    is the squared distance and H(p) = −Σ p². Source: wu2022.
    """

    # Wu et al. 2022, table 1; 10 for squares, table 6
    lam: float = attrs.field(default=21.0, validator=weight, converter=as_float)
    # Wu et al. 2022, table 3
    beta_cle: float = attrs.field(default=1.0, validator=weight, converter=as_float)
    beta_adv: float = attrs.field(default=0.0, validator=weight, converter=as_float)

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The clean loss and the weighted divergence, minus the weighted entropies, (B,)."""
        views = self.views(model, batch, threat, run)
        clean, attacked = views.clean(model), views.attacked(model)
        reward = self.bregman.rewarded(clean, attacked, self.beta_cle, self.beta_adv)
        return self.bregman.fit(clean, batch) + self.lam * self.bregman.divergence(clean, attacked) - reward
