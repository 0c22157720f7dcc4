"""A monitor: it watches a run, and may end it or roll it back."""

import attrs
import torch
from torch import nn

from inradius import RunState, ThreatModel
from inradius.components import validators
from inradius.components.validators import as_float
from inradius.training.actions import Action
from inradius.training.slots import Monitor, Stop


@attrs.frozen(kw_only=True)
class AcmeName(Monitor):
    """Notes the length of the weights after each epoch, and ends the run where it is above ``most``."""

    most: float = attrs.field(default=1e6, validator=validators.positive, converter=as_float)

    def after_epoch(self, model: nn.Module, threat: ThreatModel, run: RunState) -> list[Action]:
        length = float(torch.stack([p.detach().norm() for p in model.parameters()]).norm())
        run.log(weight_length=length)
        return [Stop(f"the weights have length {length:.3g}, above {self.most:g}")] if length > self.most else []
