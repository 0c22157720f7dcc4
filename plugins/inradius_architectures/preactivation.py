"""The residual block of PreActResNet and WideResNet."""

from torch import nn

from inradius_architectures.residual import Residual


def stage(before: int, after: int, blocks: int, stride: int) -> list[nn.Module]:
    """Blocks of one width, the first of which changes the width and the resolution."""
    return [_block(before if place == 0 else after, after, stride if place == 0 else 1) for place in range(blocks)]


def activation(width: int) -> tuple[nn.Module, nn.Module]:
    """BatchNorm and ReLU, placed before a convolution and not after it."""
    return nn.BatchNorm2d(width), nn.ReLU()


def _block(before: int, after: int, stride: int) -> nn.Module:
    """Two convolutions, each after its activation, and a shortcut: the identity, or a convolution of the first activation.

    Source: he2016.
    """
    first = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
    convolutions = [first, *activation(after), nn.Conv2d(after, after, 3, padding=1, bias=False)]
    if before == after and stride == 1:
        return Residual(nn.Sequential(*activation(before), *convolutions))
    shortcut = nn.Conv2d(before, after, 1, stride=stride, bias=False)
    return nn.Sequential(*activation(before), Residual(nn.Sequential(*convolutions), shortcut))
