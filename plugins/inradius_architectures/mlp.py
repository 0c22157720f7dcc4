"""Multilayer perceptrons."""

from itertools import pairwise

from torch import nn

from inradius import SpecError


def mlp(*sizes: int) -> nn.Sequential:
    """Linear layers of the given sizes with ReLU between them; mlp(784, 256, 10) reads 784 numbers and has 10 classes.

    Inputs of any shape are flattened.
    """
    if len(sizes) < 2 or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise SpecError(f"mlp{sizes} is not a network; allowed are two or more sizes ≥ 1, as in mlp(784, 256, 10)")
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
