"""Convolutions of images with a single channel, with a cheap gradient in the image."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class SingleChannelConv(nn.Module):
    """A convolution of images with a single channel, (B, 1, H, W) -> (B, C, H', W'), stored with their channels last.

    On a CPU its gradient in the image is a matrix product whose columns are added up. The libraries' kernels work on
    several channels at once and leave most of that unused for a single channel. They take four to six times as long.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer

    @staticmethod
    def fits(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
        """True where the layer is such a convolution, with zeros around the image."""
        return (
            isinstance(layer, nn.Conv2d)
            and type(layer) is nn.Conv2d
            and (layer.in_channels, layer.groups, layer.padding_mode) == (1, 1, "zeros")
            and not isinstance(layer.padding, str)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The value, (B, C, H', W')."""
        if x.ndim != 4 or x.shape[1] != 1 or x.device.type != "cpu":
            return self.layer(x)  # type: ignore[no-any-return]
        count, _, height, width = x.shape
        # with one channel both memory orders hold the same numbers, and the strides choose between them
        x = x.contiguous().as_strided((count, 1, height, width), (height * width, 1, width, 1))
        return _Convolution.apply(x, self.layer)  # type: ignore[no-any-return, no-untyped-call]


@contextmanager
def cheap_gradients(model: object) -> Iterator[None]:
    """A block in which convolutions of images with a single channel have a cheap gradient in the image, and none in
    their weights.

    Their values have the same bits. Compiled models are not changed.
    """
    whole = isinstance(model, nn.Module) and getattr(model, "_compiled_call_impl", None) is None
    layers = [layer for layer in model.modules() if SingleChannelConv.fits(layer)] if whole else []  # type: ignore[attr-defined]
    # a layer whose forward is already replaced stays as it is
    layers = [layer for layer in layers if "forward" not in vars(layer)]
    for layer in layers:
        vars(layer)["forward"] = partial(_forward, layer)
    try:
        yield
    finally:
        for layer in layers:
            del vars(layer)["forward"]


def _forward(layer: nn.Conv2d, x: Tensor) -> Tensor:
    if x.ndim != 4 or x.device.type != "cpu" or not x.requires_grad:
        return type(layer).forward(layer, x)
    return _InImage.apply(x, layer)  # type: ignore[no-any-return, no-untyped-call]


class _InImage(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Conv2d) -> Tensor:
        ctx.layer, ctx.size = layer, x.shape[2:]
        return type(layer).forward(layer, x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        layer: nn.Conv2d = ctx.layer
        # under autocast gradients have a shorter type
        columns = layer.weight.flatten(1).t() @ gradients[0].flatten(2).to(layer.weight.dtype)
        return _folded(columns, ctx.size, layer), None


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Conv2d) -> Tensor:
        ctx.layer, ctx.size = layer, x.shape[2:]
        return F.conv2d(x, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        layer = ctx.layer
        # the rows of a window are its filters, and no copy is made where channels are last
        columns = layer.weight.flatten(1).t() @ gradient.permute(0, 2, 3, 1).flatten(1, 2).transpose(1, 2)
        return _folded(columns, ctx.size, layer), None


def _folded(columns: Tensor, size: torch.Size, layer: nn.Conv2d) -> Tensor:
    """The image from its windows, the columns, added up where they overlap, (B, 1, H, W)."""
    assert not isinstance(layer.padding, str)
    return F.fold(columns, size, layer.kernel_size, dilation=layer.dilation, padding=layer.padding, stride=layer.stride)
