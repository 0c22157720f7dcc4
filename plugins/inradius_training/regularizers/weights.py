"""The weights of a network, without biases and normalisation."""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def weights(model: nn.Module) -> list[nn.Parameter]:
    """The trained parameters of two or more axes, each once, without those of normalisation layers and biases.

    Layers are recognised by their class, because names are arbitrary.
    """
    found = {
        id(parameter): parameter
        for module in model.modules()
        if not isinstance(module, NORMS)
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.requires_grad and parameter.ndim > 1 and not name.startswith("bias")
    }
    return list(found.values())


def total(parts: Iterable[Tensor], like: Tensor) -> Tensor:
    """The sum of the numbers, (); 0 where there are none."""
    return sum(parts, start=like.new_zeros(()))
