"""TRADES."""

import attrs
from torch import Tensor, nn

from inradius import AdversarialDefense, Attack, Dataset, Run, ThreatModel
from inradius.components.validators import as_float, component, weight
from inradius.training.losses import cross_entropy, kl_divergence
from inradius_training.distance.compared import climber


@attrs.frozen(kw_only=True)
class TRADES(AdversarialDefense):
    """min E CE(f(x), y) + beta · max_{δ ∈ Δ(x)} KL(p(x) ‖ p(x + δ)), p = softmax(f): one term for accuracy, one for robustness.

    The gradient goes through both predictions. A larger ``beta`` gives robustness more weight. Source: zhang2019.
    """

    attack: Attack = attrs.field(factory=climber("kl()", of="attack of trades"), validator=component(Attack))
    # Zhang et al. 2019, sec. 5: 6 on CIFAR-10, 1 on MNIST
    beta: float = attrs.field(default=6.0, validator=weight, converter=as_float)

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The clean cross-entropy and the weighted divergence of the attacked prediction, (B,)."""
        views = self.views(model, batch, threat, run)
        clean = views.clean(model)
        return cross_entropy(clean, batch) + self.beta * kl_divergence(views.attacked(model), of=clean)
