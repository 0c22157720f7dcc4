"""Gradients in the input of a network that autocast runs in float16, scaled on their way so that they do not become 0."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from inradius.models.modes import at_least

# the smallest exponent whose power of two has an inverse in float32
_LEAST_EXPONENT = -120


class KeptGradients:
    """A scale for the gradient of each example: it enters the network with a largest entry near 1, and leaves it divided again.

    float16 has no numbers between 0 and 6e-8, and the gradient of a sure prediction is smaller. The scales are powers of two, so
    that they round nothing. Where BatchNorm mixes the examples of a batch, they share one scale.
    """

    def __init__(self, model: Callable[[Tensor], object]) -> None:
        self._shared = isinstance(model, nn.Module) and any(
            isinstance(layer, _BatchNorm) and layer.training for layer in model.modules()
        )
        self._scale: Tensor | None = None

    @classmethod
    def where_needed(cls, model: Callable[[Tensor], object], x: Tensor) -> Self | None:
        """The scales for a gradient in x; None where none is asked for, or where no autocast in float16 is on."""
        kind = x.device.type
        wanted = torch.is_grad_enabled() and x.requires_grad and torch.is_autocast_enabled(kind)
        return cls(model) if wanted and torch.get_autocast_dtype(kind) == torch.float16 else None

    def inputs(self, x: Tensor) -> Tensor:
        """The same inputs, whose gradient is divided by the scale."""
        within = x.view_as(x)
        within.register_hook(self._divided)  # type: ignore[no-untyped-call]
        return within

    def outputs(self, logits: Tensor) -> Tensor:
        """The same logits in float32 or more, whose gradient is multiplied by the scale."""
        whole = at_least(logits, torch.float32)
        if not whole.requires_grad:
            return whole
        without = whole.view_as(whole)
        without.register_hook(self._multiplied)  # type: ignore[no-untyped-call]
        return without

    def _multiplied(self, gradient: Tensor) -> Tensor:
        largest = gradient.detach().abs().reshape(len(gradient), -1).amax(1)
        exponent = torch.frexp(largest.amax().expand_as(largest) if self._shared else largest).exponent
        self._scale = torch.ldexp(torch.ones_like(largest), -exponent.clamp(min=_LEAST_EXPONENT))
        return gradient * _beside(self._scale, gradient)

    def _divided(self, gradient: Tensor) -> Tensor:
        return gradient if self._scale is None else gradient / _beside(self._scale, gradient)


def _beside(scale: Tensor, values: Tensor) -> Tensor:
    return scale.to(values.dtype).view(-1, *[1] * (values.ndim - 1))
