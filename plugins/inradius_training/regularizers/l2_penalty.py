"""A penalty on the squares of the weights."""

import attrs
from torch import Tensor, nn

from inradius import AttackedBatch, RunState
from inradius.components.validators import as_float
from inradius.sets.oracles import Oracles
from inradius.training.slots import Regularizer, Schedule
from inradius.training.slots.regularizer import weight_or_schedule
from inradius_training.regularizers.weights import total, weights


@attrs.frozen(kw_only=True)
class L2Penalty(Regularizer):
    """½ Σ w² over the weights of linear, convolutional and similar layers, without biases and normalisation.

    With sgd it equals weight decay of these weights alone. With adam it does not, because adam scales its gradient like
    that of the loss. Source: rice2020.
    """

    # the best of seven: Rice et al. 2020
    weight: float | Schedule = attrs.field(default=5e-2, validator=weight_or_schedule, converter=as_float)

    def penalty(self, model: nn.Module, views: AttackedBatch, threat: Oracles, run: RunState) -> Tensor:
        """Half of the sum of squares, ()."""
        return total((weight.square().sum() / 2 for weight in weights(model)), views.inputs)
