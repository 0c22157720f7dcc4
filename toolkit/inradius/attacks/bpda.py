"""A stand-in for the backward pass of a layer that has no useful gradient."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from inradius.errors import InputError


class BPDA(nn.Module):
    """A module with the value of ``module`` and the gradient of ``surrogate``: forward the one, backward the other.

    ``surrogate`` is a differentiable function that comes near the module, by default the identity. Wrap the layer that
    hides the gradient, for instance a quantiser before a network: ``Sequential(BPDA(quantiser), network)``; attacks then
    see through it, and are judged by the true value.
    Raises ``InputError`` where the two have outputs of different shapes.
    Source: athalye2018.
    """

    def __init__(self, module: Callable[[Tensor], Tensor], surrogate: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        # without a surrogate its place stays empty
        self.module, self.surrogate = module, surrogate

    def forward(self, x: Tensor) -> Tensor:
        """The module's value, (B, *S) -> (B, *T)."""
        with torch.no_grad():
            value = self.module(x)
        if not x.requires_grad:
            return value
        near = x if self.surrogate is None else self.surrogate(x)
        if near.shape != value.shape:
            raise InputError(
                f"the surrogate gives {tuple(near.shape)} where the module gives {tuple(value.shape)}; "
                "allowed is a function with the module's shapes"
            )
        replaced: Tensor = _Replace.apply(near, value)  # type: ignore[no-untyped-call]
        return replaced


class _Replace(torch.autograd.Function):
    """The second argument forward, the gradient of the first backward."""

    @staticmethod
    def forward(ctx: Any, near: Tensor, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None
