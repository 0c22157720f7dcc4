"""FAIT: friendly adversarial interpolation training."""

import attrs
from torch import Tensor, nn

from inradius import Dataset, Run, ThreatModel
from inradius.components.validators import as_float, count, weight
from inradius_training.distance.separated import Separated


@attrs.frozen(kw_only=True)
class FAIT(Separated):
    """min E Δ(y, p(x)) + lam · [Δ(p(x), p(x*)) + Δ(p(x*), p(x'))], where x* is the attack's iterate number ``iterate``
    towards x'.

    x' maximises Δ(p(x), p(x')) over Δ(x). Δ is KL for ``psi="negative_entropy"``, and Δ(y, p) is then the
    cross-entropy. If p(x*) lies on the segment from p(x) to p(x'), the bracket is at most Δ(p(x), p(x')), so lam may be
    larger than that of TRADES. With three or more classes it need not lie there, and the bracket can be larger. Source:
    wu2022.
    """

    # Wu et al. 2022, table 1; 8 for squares, table 6
    lam: float = attrs.field(default=12.0, validator=weight, converter=as_float)
    # Wu et al. 2022, table 2: 2 of 10 steps
    iterate: int = attrs.field(default=2, validator=count)

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The clean loss and the weighted divergences along the way, (B,)."""
        views = self.views(model, batch, threat, run, keep=(self.iterate,))
        clean = views.clean(model)
        way = self.bregman.separated(clean, views.iterate(model, self.iterate), views.attacked(model))
        return self.bregman.fit(clean, batch) + self.lam * way
