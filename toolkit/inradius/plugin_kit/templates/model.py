"""A model: a network that a function builds."""

from torch import nn


def acme_name(classes: int = 10, width: int = 32) -> nn.Module:
    """A small convolutional network for grey images of 28 × 28 pixels, (B, 1, 28, 28) -> (B, classes)."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 4, stride=2),
        nn.ReLU(),
        nn.Conv2d(8, 8, 4, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(200, width),
        nn.ReLU(),
        nn.Linear(width, classes),
    )
