"""FAIT with the entropies of MER."""

import attrs
from torch import Tensor, nn

from inradius import Dataset, Run, ThreatModel
from inradius.components.validators import as_float, count, weight
from inradius_training.distance.separated import Separated


@attrs.frozen(kw_only=True)
class FAITMER(Separated):
    """min E Δ(y, p(x)) + lam · [Δ(p(x), p(x*)) + Δ(p(x*), p(x'))] − beta_cle · H(p(x)) − beta_adv · H(p(x')).

    The terms are those of FAIT and of MER. Source: wu2022.
    """

    name = "fait_mer"

    # Wu et al. 2022, sec. 5.2.2
    lam: float = attrs.field(default=30.0, validator=weight, converter=as_float)
    # Wu et al. 2022, tables 2 and 3
    iterate: int = attrs.field(default=2, validator=count)
    beta_cle: float = attrs.field(default=1.0, validator=weight, converter=as_float)
    beta_adv: float = attrs.field(default=0.0, validator=weight, converter=as_float)

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The clean loss and the weighted divergences along the way, minus the weighted entropies, (B,)."""
        views = self.views(model, batch, threat, run, keep=(self.iterate,))
        clean, attacked = views.clean(model), views.attacked(model)
        way = self.bregman.separated(clean, views.iterate(model, self.iterate), attacked)
        reward = self.bregman.rewarded(clean, attacked, self.beta_cle, self.beta_adv)
        return self.bregman.fit(clean, batch) + self.lam * way - reward
