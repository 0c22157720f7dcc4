"""The network of the MNIST experiments with unions of sets."""

from torch import nn


def mnist_cnn() -> nn.Sequential:
    """Convolutions of 32 and 64 filters of 5 by 5, each pooled, and a layer of 1024, for (B, 1, 28, 28).

    Source: madry2018, maini2020.
    """
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64 * 7 * 7, 1024), nn.ReLU(), nn.Linear(1024, 10)),
    )
