"""Networks with trained weights; a card beside each file has the command that trained it and its figures."""

from collections.abc import Callable
from functools import partial
from importlib.resources import as_file, files

from torch import nn

from inradius import UnsupportedError, load_weights
from inradius_architectures.convolutional import mnist_small
from inradius_architectures.mlp import mlp


def mnist_small_standard() -> nn.Sequential:
    """mnist_small trained on 4000 MNIST images with the cross-entropy alone: accurate and not robust."""
    return _shipped("mnist_small_standard")


def mnist_small_adversarial() -> nn.Sequential:
    """mnist_small trained on 4000 MNIST images against attacks in linf(eps=0.1): robust, and hard to certify."""
    return _shipped("mnist_small_adversarial")


def mnist_small_certified() -> nn.Sequential:
    """mnist_small trained on 4000 MNIST images to be certified in linf(eps=0.1)."""
    return _shipped("mnist_small_certified")


def mnist_mlp_wasserstein() -> nn.Sequential:
    """mlp(784, 200, 10) trained on 4000 MNIST images to be certified in wasserstein(eps=0.2)."""
    return _shipped("mnist_mlp_wasserstein", partial(mlp, 784, 200, 10))


def shapes_mlp_certified() -> nn.Sequential:
    """mlp(256, 100, 4) trained on 3000 drawn shapes to be certified in linf(eps=0.1); it and its data need no extra."""
    return _shipped("shapes_mlp_certified", partial(mlp, 256, 100, 4))


def _shipped(name: str, build: Callable[[], nn.Sequential] = mnist_small) -> nn.Sequential:
    file = files("inradius_architectures") / "weights" / f"{name}.safetensors"
    if not file.is_file():
        raise UnsupportedError(f"the weights of {name} are not in this installation: {file} does not exist")
    model = build()
    with as_file(file) as path:
        load_weights(model, path)
    return model
