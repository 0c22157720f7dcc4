"""MART."""

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inradius import AdversarialDefense, Attack, Dataset, Run, ThreatModel
from inradius.attacks.objective import log_odds_against
from inradius.components.validators import as_float, component, weight
from inradius.training.losses import cross_entropy, kl_divergence, targets_of
from inradius_training.distance.compared import climber


@attrs.frozen(kw_only=True)
class MART(AdversarialDefense):
    """min E BCE(p', y) + beta · KL(p ‖ p') · (1 − p_y): the divergence has weight where the clean prediction is uncertain.

    p = p(x), p' = p(x + δ) at the δ ∈ Δ(x) of the largest cross-entropy, and BCE(p', y) = −log p'_y − log(1 − max_{k≠y}
    p'_k). The gradient also goes through the weight 1 − p_y. Source: wang2020.
    """

    attack: Attack = attrs.field(factory=climber("cross_entropy()", of="attack of mart"), validator=component(Attack))
    # Wang et al. 2020, sec. 4.1: 5 for ResNet-18, 6 for WideResNet-34-10
    beta: float = attrs.field(default=5.0, validator=weight, converter=as_float)

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The boosted cross-entropy under attack and the weighted divergence, (B,)."""
        views = self.views(model, batch, threat, run)
        clean, attacked = views.clean(model), views.attacked(model)
        targets = targets_of(batch, clean.shape[1], clean.dtype)
        doubt = 1 - (targets * clean.softmax(1)).sum(1)
        boosted = cross_entropy(attacked, batch) + rival_surprise(attacked, targets)
        return boosted + self.beta * kl_divergence(attacked, of=clean) * doubt


def rival_surprise(logits: Tensor, targets: Tensor) -> Tensor:
    """−Σ_c t_c log(1 − max_{k≠c} p_k), (B, C), (B, C) -> (B,).

    It is computed from the log-odds, because 1 − p rounds to 0 where the model is confident. There it grows like the
    gap between the logits.
    """
    first, second = logits.topk(2, dim=1).indices.unbind(1)
    share = targets.gather(1, first[:, None]).squeeze(1)
    surprise = [-F.logsigmoid(log_odds_against(logits, rival)) for rival in (first, second)]
    # the rival of the likeliest class is the second likeliest; the rival of every other class is the likeliest
    return torch.lerp(surprise[0], surprise[1], share)
