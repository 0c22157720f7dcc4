"""Initial weights of convolutions."""

from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


def fan_out(model: M) -> M:
    """The model, with its convolutions drawn from N(0, 2 / (k · k · out)) and biases of zero.

    The variance keeps the size of gradients from layer to layer. The thesis's experiments start this way.
    Source: he2015, wong2018scaling.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model
