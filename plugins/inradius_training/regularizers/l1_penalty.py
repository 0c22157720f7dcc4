"""A penalty on the absolute values of the weights."""

import attrs
from torch import Tensor, nn

from inradius import AttackedBatch, RunState
from inradius.components.validators import as_float
from inradius.sets.oracles import Oracles
from inradius.training.slots import Regularizer, Schedule
from inradius.training.slots.regularizer import weight_or_schedule
from inradius_training.regularizers.weights import total, weights


@attrs.frozen(kw_only=True)
class L1Penalty(Regularizer):
    """Σ |w| over the weights of linear, convolutional and similar layers, without biases and normalisation.

    Source: rice2020.
    """

    # the best of five: Rice et al. 2020
    weight: float | Schedule = attrs.field(default=5e-5, validator=weight_or_schedule, converter=as_float)

    def penalty(self, model: nn.Module, views: AttackedBatch, threat: Oracles, run: RunState) -> Tensor:
        """The sum, ()."""
        return total((weight.abs().sum() for weight in weights(model)), views.inputs)
