"""A regularizer: a penalty that is added to the loss."""

import attrs
from torch import Tensor, nn

from inradius import AttackedBatch, Oracles, RunState
from inradius.training.slots import Regularizer


@attrs.frozen(kw_only=True)
class AcmeName(Regularizer):
    """The squared length of the logits of each clean example, (B,)."""

    def penalty(self, model: nn.Module, views: AttackedBatch, threat: Oracles, run: RunState) -> Tensor:
        return views.clean(model).square().sum(1)
