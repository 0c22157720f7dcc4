"""Multilayer perceptrons."""

from itertools import pairwise

from torch import nn

from inradius import SpecError
from inradius_architectures.choices import ACTIVATIONS, check_choice


def mlp(*sizes: int, activation: str = "relu") -> nn.Sequential:
    """Linear layers of the given sizes with ReLU between them; mlp(784, 256, 10) reads 784 numbers and has 10 classes.

    Inputs of any shape are flattened. activation: "relu", "celu", "gelu", "silu" or "softplus".
    """
    if len(sizes) < 2 or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise SpecError(f"mlp{sizes} is not a network; allowed are two or more sizes ≥ 1, as in mlp(784, 256, 10)")
    check_choice("activation", activation, ACTIVATIONS)
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])
