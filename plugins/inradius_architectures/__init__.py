"""The networks of the papers, and small networks with trained weights."""

from collections.abc import Callable, Mapping

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
