"""The squared distance of a prediction from another one."""

from typing import ClassVar

import attrs
import torch.nn.functional as F
from torch import Tensor

from inradius import Objective


@attrs.frozen(kw_only=True)
class SquaredDistance(Objective):
    """‖softmax(z) − t‖² from the clean prediction t, or from the targets of the call; the label is not used.

    Its gradient is zero where the prediction is t, so an attack must start away from it. Source: pang2022.
    """

    relative: ClassVar[bool] = True

    def __call__(self, logits: Tensor, y: Tensor, goal: Tensor | None = None) -> Tensor:
        if goal is not None:
            return -self(logits, goal)
        return self.expected(logits, F.one_hot(y, logits.shape[1]).to(logits.dtype))

    def expected(self, logits: Tensor, targets: Tensor) -> Tensor:
        """‖p − t‖², (B, C), (B, C) -> (B,)."""
        return (logits.softmax(1) - targets).square().sum(1)
