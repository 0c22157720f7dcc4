"""The thesis's residual networks, without BatchNorm."""

from torch import nn

from inradius_architectures.initial import fan_out
from inradius_architectures.residual import Residual


def mnist_resnet() -> nn.Sequential:
    """Four residual blocks (16, 16, 32, 64) and a layer of 1000, for (B, 1, 28, 28): 3254562 parameters.

    Source: wong2018scaling.
    """
    return _resnet(channels=1, side=28)


def cifar_resnet() -> nn.Sequential:
    """Four residual blocks (16, 16, 32, 64) and a layer of 1000, for (B, 3, 32, 32): 4214850 parameters.

    Source: wong2018scaling.
    """
    return _resnet(channels=3, side=32)


def _resnet(channels: int, side: int) -> nn.Sequential:
    blocks = [
        *(nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU()),
        *_keeping(16),
        *_keeping(16),
        *_halving(16, 32),
        *_halving(32, 64),
    ]
    dense = [nn.Flatten(), nn.Linear(64 * (side // 4) ** 2, 1000), nn.ReLU(), nn.Linear(1000, 10)]
    return fan_out(nn.Sequential(*blocks, *dense))


def _keeping(width: int) -> tuple[nn.Module, ...]:
    body = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))
    return Residual(body, nn.Conv2d(width, width, 1)), nn.ReLU()


def _halving(before: int, after: int) -> tuple[nn.Module, ...]:
    first = nn.Conv2d(before, after, 4, stride=2, padding=1)
    body = nn.Sequential(first, nn.ReLU(), nn.Conv2d(after, after, 3, padding=1))
    return Residual(body, nn.Conv2d(before, after, 2, stride=2)), nn.ReLU()
