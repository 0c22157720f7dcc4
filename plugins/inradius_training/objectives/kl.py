"""The divergence of a prediction from another one."""

from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from inradius import CrossEntropy, Objective
from inradius.attacks.objective import log_odds_against


@attrs.frozen(kw_only=True)
class KL(Objective):
    """The divergence KL(t ‖ softmax(z)) from the clean prediction t, or from the targets of the call; the label is not used.

    Its gradient is zero where the prediction is t, so an attack must start away from it. It is the cross-entropy where
    t has all weight on one class, and with a goal. Values and gradients keep their relative precision where the model
    is confident, like those of the cross-entropy. Source: zhang2019.
    """

    relative: ClassVar[bool] = True

    def __call__(self, logits: Tensor, y: Tensor, goal: Tensor | None = None) -> Tensor:
        return CrossEntropy()(logits, y, goal)

    def expected(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Σ_c t_c log(t_c / p_c), with logits relative to that of the likeliest class, (B, C), (B, C) -> (B,)."""
        likeliest = targets.argmax(1)
        others = targets.scatter(1, likeliest[:, None], 0.0)
        rest = others.sum(1)
        gaps = logits - logits.gather(1, likeliest[:, None])
        surprise = -F.logsigmoid(-log_odds_against(logits, likeliest)) - (others * gaps).sum(1)
        return surprise + torch.xlogy(others, others).sum(1) + (1 - rest) * torch.log1p(-rest)
