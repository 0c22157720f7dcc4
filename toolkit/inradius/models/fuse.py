"""A faster copy of a network for attacks, with the same outputs up to rounding."""

import copy
from collections.abc import Iterator, Sequence
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from inradius.models.single_channel_conv import SingleChannelConv

_IDLE = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
_MONOTONE = (nn.ReLU, nn.ReLU6, nn.Tanh, nn.Sigmoid)
_MAXIMA = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


class ChannelsLastFlatten(nn.Module):
    """Images as rows with the channels innermost, (B, C, H, W) -> (B, H · W · C), without a copy where they are stored so."""

    def forward(self, x: Tensor) -> Tensor:
        """The rows, (B, H · W · C)."""
        return x.permute(0, 2, 3, 1).flatten(1)


def optimize(model: nn.Module) -> nn.Module:
    """A faster copy of the model in eval mode, with the same logits up to rounding and the same gradients in its input.

    For ``nn.Sequential``, also nested: dropout is removed, BatchNorm is merged into the convolution or linear layer
    before it, maxima are taken before ReLU, images are stored with their channels last, and a first convolution of
    images with a single channel gets a cheap gradient. Other modules are copied, with channels last where they have
    convolutions of images. The same holds for models with hooks. Where two values tie for a maximum, another
    subgradient may be taken. The copy's parameters need no gradient: it is for attacks, not for training.
    """
    copied = copy.deepcopy(model).eval()
    if _is_chain(copied) and not any(_has_hooks(module) for module in copied.modules()):
        copied = nn.Sequential(*_rewritten(list(_flat(copied)))).eval()
    copied.requires_grad_(False)
    has_images = any(isinstance(module, nn.Conv2d) for module in copied.modules())
    # mypy: torch types the memory format of modules too narrowly
    return copied.to(memory_format=torch.channels_last) if has_images else copied  # type: ignore[call-overload]


def _rewritten(layers: Sequence[nn.Module]) -> list[nn.Module]:
    return _channels_last(_maxima_first(_folded([layer for layer in layers if type(layer) not in _IDLE])))


def _is_chain(module: nn.Module) -> TypeGuard[nn.Sequential]:
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def _has_hooks(module: nn.Module) -> bool:
    return any(
        getattr(module, hooks)
        for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    )


def _flat(module: nn.Module) -> Iterator[nn.Module]:
    if _is_chain(module):
        for child in module:
            yield from _flat(child)
    else:
        yield module


def _folded(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """The layers, with each BatchNorm merged into the affine layer before it where running statistics make it affine."""
    done: list[nn.Module] = []
    are_rows = False
    for layer in layers:
        last = done[-1] if done else None
        if type(last) is nn.Conv2d and type(layer) is nn.BatchNorm2d and layer.running_mean is not None:
            done[-1] = fuse_conv_bn_eval(last, layer)
        # on sequences BatchNorm1d normalises positions, and not the features of the linear layer
        elif are_rows and type(last) is nn.Linear and type(layer) is nn.BatchNorm1d and layer.running_mean is not None:
            done[-1] = fuse_linear_bn_eval(last, layer)
        else:
            done.append(layer)
        are_rows = are_rows or _is_flatten(layer)
    return done


def _maxima_first(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """The layers, with each monotone function moved after the maximum that followed it, where there are fewer values."""
    done: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, _MAXIMA) and type(layer) in _MAXIMA and done and type(done[-1]) in _MONOTONE:
            # with dilation a window may hold only padding, which the function would turn into a number
            apart = layer.dilation not in (1, (1,), (1, 1), (1, 1, 1))
            done.insert(len(done) - (0 if apart or layer.return_indices else 1), layer)
        else:
            done.append(layer)
    return done


def _channels_last(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """The layers for images stored with their channels last."""
    done: list[nn.Module] = []
    channels: int | None = None
    for layer in layers:
        last = done[-1] if done else None
        if channels and type(layer) is nn.Linear and last and _is_flatten(last) and layer.in_features % channels == 0:
            done[-1:] = [ChannelsLastFlatten(), _reordered(layer, channels)]
        else:
            done.append(SingleChannelConv(layer) if SingleChannelConv.fits(layer) else layer)
        if type(layer) is nn.Conv2d:
            channels = layer.out_channels
        elif type(layer) not in (*_MONOTONE, *_POOLS, nn.BatchNorm2d, nn.LeakyReLU) and not _is_flatten(layer):
            channels = None
    return done


def _is_flatten(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Flatten) and type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) == (1, -1)


def _reordered(layer: nn.Linear, channels: int) -> nn.Linear:
    """The layer for rows with the channels innermost."""
    moved = copy.deepcopy(layer)
    columns = layer.weight.view(layer.out_features, channels, -1).transpose(1, 2).flatten(1)
    moved.weight = nn.Parameter(columns.contiguous(), requires_grad=False)
    return moved
