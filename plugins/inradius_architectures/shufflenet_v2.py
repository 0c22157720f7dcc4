"""ShuffleNet V2 for images of 32 by 32 pixels."""

import torch
from torch import Tensor, nn

from inradius_architectures.choices import check_choice, check_classes
from inradius_architectures.initial import fan_out

# Ma et al. 2018, table 5: the channels of the three stages and of the last convolution, by the size of the network
_WIDTHS = {0.5: (48, 96, 192, 1024), 1.0: (116, 232, 464, 1024), 1.5: (176, 352, 704, 1024), 2.0: (244, 488, 976, 2048)}
_BLOCKS = (4, 8, 4)
_FIRST = 24


def shufflenet_v2(classes: int = 10, size: float = 1.0) -> nn.Sequential:
    """Sixteen blocks in three stages whose halves of channels are shuffled, for (B, 3, 32, 32).

    ``size`` is 0.5, 1.0, 1.5 or 2.0. The first convolution has stride 1 and no pooling follows, as for small images. Source:
    ma2018.
    """
    check_classes(classes)
    check_choice("size", size, _WIDTHS)
    *widths, last = _WIDTHS[size]
    layers: list[nn.Module] = [*_convolution(3, _FIRST, 3)]
    before = _FIRST
    for width, blocks in zip(widths, _BLOCKS, strict=True):
        layers += [_Halving(before, width), *(_Keeping(width) for _ in range(blocks - 1))]
        before = width
    layers += [*_convolution(before, last, 1), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(last, classes)]
    return fan_out(nn.Sequential(*layers))


def shuffled(x: Tensor) -> Tensor:
    """The channels of both halves in turn, (B, C, H, W) -> (B, C, H, W)."""
    halves = x.reshape(len(x), 2, x.shape[1] // 2, *x.shape[2:])
    return halves.transpose(1, 2).flatten(1, 2)


def _convolution(before: int, after: int, kernel: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(after), nn.ReLU()


def _depthwise(width: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=width, bias=False), nn.BatchNorm2d(width)


class _Keeping(nn.Module):
    """One half of the channels as it is, the other through three convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.body = nn.Sequential(*_convolution(half, half, 1), *_depthwise(half, 1), *_convolution(half, half, 1))

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=1)
        return shuffled(torch.cat([left, self.body(right)], dim=1))


class _Halving(nn.Module):
    """All channels through two bodies of stride 2, which give one half of the new channels each."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        half = after // 2
        self.left = nn.Sequential(*_depthwise(before, 2), *_convolution(before, half, 1))
        self.right = nn.Sequential(*_convolution(before, half, 1), *_depthwise(half, 2), *_convolution(half, half, 1))

    def forward(self, x: Tensor) -> Tensor:
        return shuffled(torch.cat([self.left(x), self.right(x)], dim=1))
