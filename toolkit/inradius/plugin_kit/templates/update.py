"""An update: it moves the weights by gradients."""

import attrs
import torch
from torch import Tensor, nn

from inradius.components import validators
from inradius.components.validators import as_float
from inradius.training.descent import Descent
from inradius.training.slots import Update


@attrs.frozen(kw_only=True)
class AcmeName(Update):
    """Extragradient: the optimiser's step along the gradient at the point that a first step would reach."""

    length: float = attrs.field(default=0.01, validator=validators.positive, converter=as_float)

    def __call__(self, descent: Descent) -> None:
        descent.gradient()
        kept = [parameter.detach().clone() for parameter in descent.parameters]
        _move(descent.parameters, self.length)
        try:
            descent.gradient()
        finally:
            # put back, also where a gradient raises
            _restore(descent.parameters, kept)
        descent.step()


@torch.no_grad()
def _move(parameters: list[nn.Parameter], length: float) -> None:
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.sub_(parameter.grad, alpha=length)


@torch.no_grad()
def _restore(parameters: list[nn.Parameter], kept: list[Tensor]) -> None:
    for parameter, value in zip(parameters, kept, strict=True):
        parameter.copy_(value)
