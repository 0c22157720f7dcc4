"""HAT: helper-based adversarial training."""

import attrs
import torch
import torch.nn.functional as F
from attrs.validators import instance_of, optional
from torch import Tensor, nn

from inradius import AdversarialDefense, Attack, Dataset, Run, ThreatModel
from inradius.components.validators import as_float, component, weight
from inradius.models.frozen_network import frozen_network, hashed, hashed_spec
from inradius.training.losses import cross_entropy, kl_divergence
from inradius_training.distance.compared import climber


@attrs.frozen(kw_only=True)
class HAT(AdversarialDefense):
    """min E CE(f(x), y) + beta · KL(p(x) ‖ p(x')) + gamma · CE(f(x + h · (x' − x)), argmax f_std(x')), x' as in TRADES.

    The helper point lies beyond x', outside of Δ(x) for h > 1 and perhaps outside of the box. Its label is the
    prediction of a standard network at x', so that the margin does not grow more than needed. ``model`` names that
    network by a spec or by ``file.py:factory``; ``weights`` is a file with its weights. Both files enter the spec with
    the hash of their content. The standard network is not trained. Source: rade2022.
    """

    model: str = attrs.field(validator=instance_of(str), converter=hashed_spec)
    weights: str | None = attrs.field(default=None, validator=optional(instance_of(str)), converter=hashed)
    attack: Attack = attrs.field(factory=climber("kl()", of="attack of hat"), validator=component(Attack))
    # the authors' code: beta=2.5, gamma=0.5 and h=3.5 on CIFAR-10
    beta: float = attrs.field(default=2.5, validator=weight, converter=as_float)
    gamma: float = attrs.field(default=0.5, validator=weight, converter=as_float)
    h: float = attrs.field(default=3.5, validator=weight, converter=as_float)

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The loss of TRADES and the weighted cross-entropy of the helper point, (B,)."""
        views = self.views(model, batch, threat, run)
        clean, attacked = views.clean(model), views.attacked(model)
        far = views.at("helper", lambda: model(views.inputs + self.h * views.delta))
        label = self.standard_label(views.inputs + views.delta)
        trades = cross_entropy(clean, batch) + self.beta * kl_divergence(attacked, of=clean)
        return trades + self.gamma * F.cross_entropy(far, label, reduction="none")

    def standard_label(self, x: Tensor) -> Tensor:
        """The prediction of the standard network, (B, *S) -> (B,)."""
        standard = frozen_network(self.model, self.weights, x.device, x.dtype)
        with torch.no_grad():
            label: Tensor = standard(x).argmax(1)
        return label
