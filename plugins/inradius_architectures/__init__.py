"""The networks of the papers, and small networks with trained weights."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from inradius import hookimpl
from inradius_architectures.binarized import mnist_binarized
from inradius_architectures.convolutional import cifar_large, cifar_small, mnist_large, mnist_small
from inradius_architectures.mlp import mlp
from inradius_architectures.mnist_cnn import mnist_cnn
from inradius_architectures.preact_resnet import preact_resnet18
from inradius_architectures.residual import Residual as Residual
from inradius_architectures.resnet18 import resnet18, senet18
from inradius_architectures.shufflenet_v2 import shufflenet_v2
from inradius_architectures.thesis_resnet import cifar_resnet, mnist_resnet
from inradius_architectures.trained import (
    mnist_mlp_wasserstein,
    mnist_small_adversarial,
    mnist_small_certified,
    mnist_small_standard,
    shapes_mlp_certified,
)
from inradius_architectures.vgg16 import vgg16
from inradius_architectures.wide_resnet import wide_resnet


@hookimpl
def models() -> Mapping[str, Callable[..., nn.Module]]:
    builders: list[Callable[..., nn.Module]] = [
        *(mnist_small, cifar_small, mnist_large, cifar_large, mnist_resnet, cifar_resnet),
        *(mnist_cnn, mnist_binarized, preact_resnet18, wide_resnet, mlp),
        *(resnet18, senet18, vgg16, shufflenet_v2),
        *(mnist_small_standard, mnist_small_adversarial, mnist_small_certified, mnist_mlp_wasserstein),
        shapes_mlp_certified,
    ]
    return {build.__name__: build for build in builders}


@hookimpl
def law_cases() -> Mapping[str, Mapping[str, Any]]:
    grey = ("mnist_small", "mnist_large", "mnist_resnet", "mnist_cnn", "mnist_binarized")
    trained = ("mnist_small_standard", "mnist_small_adversarial", "mnist_small_certified", "mnist_mlp_wasserstein")
    colours = ("cifar_small", "cifar_large", "cifar_resnet", "preact_resnet18", "wide_resnet(depth=10, width=1)")
    deep = ("resnet18", "resnet18(norm='group', activation='celu')", "senet18", "vgg16", "shufflenet_v2(size=0.5)")
    # a law calls a network some times, and these are as large as the papers'
    cases: dict[str, dict[str, Any]] = {name: {"shape": (1, 28, 28), "examples": 4} for name in grey + trained}
    cases |= {name: {"shape": (3, 32, 32), "examples": 2} for name in colours + deep}
    small: dict[str, dict[str, Any]] = {
        "mlp(6, 5, 3)": {"shape": (2, 3)},
        "mlp(3, 8, 2, activation='gelu')": {"shape": (3,)},
    }
    return cases | small | {"shapes_mlp_certified": {"shape": (1, 16, 16)}}
