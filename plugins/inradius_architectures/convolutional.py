"""The thesis's small and large convolutional networks."""

from torch import nn

from inradius_architectures.initial import fan_out

CLASSES = 10


def mnist_small() -> nn.Sequential:
    """Two strided convolutions (16, 32) and a layer of 100, for (B, 1, 28, 28): 4804 hidden units, 166406 parameters.

    Source: wong2018.
    """
    return _small(channels=1, side=28)


def cifar_small() -> nn.Sequential:
    """Two strided convolutions (16, 32) and a layer of 100, for (B, 3, 32, 32): 6244 hidden units, 214918 parameters.

    Source: wong2018.
    """
    return _small(channels=3, side=32)


def mnist_large() -> nn.Sequential:
    """Four convolutions (32, 32, 64, 64) and two layers of 512, for (B, 1, 28, 28): 1974762 parameters.

    Source: wong2018scaling.
    """
    return _large(channels=1, side=28)


def cifar_large() -> nn.Sequential:
    """Four convolutions (32, 32, 64, 64) and two layers of 512, for (B, 3, 32, 32): 2466858 parameters.

    Source: wong2018scaling.
    """
    return _large(channels=3, side=32)


def _small(channels: int, side: int) -> nn.Sequential:
    layers = [*_halving(channels, 16), *_halving(16, 32), nn.Flatten(), *_dense(32 * (side // 4) ** 2, 100)]
    return fan_out(nn.Sequential(*layers, nn.Linear(100, CLASSES)))


def _large(channels: int, side: int) -> nn.Sequential:
    convolutions = [*_keeping(channels, 32), *_halving(32, 32), *_keeping(32, 64), *_halving(64, 64)]
    dense = [nn.Flatten(), *_dense(64 * (side // 4) ** 2, 512), *_dense(512, 512)]
    return fan_out(nn.Sequential(*convolutions, *dense, nn.Linear(512, CLASSES)))


def _halving(before: int, after: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU()


def _keeping(before: int, after: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, padding=1), nn.ReLU()


def _dense(before: int, after: int) -> tuple[nn.Module, ...]:
    return nn.Linear(before, after), nn.ReLU()
