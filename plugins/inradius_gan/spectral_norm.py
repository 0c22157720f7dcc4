"""Wasserstein GAN with spectral normalisation."""

import math
import sys
from collections.abc import Iterable

import attrs
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from inradius import UnsupportedError
from inradius.components.validators import as_float, count, positive
from inradius_gan.lipschitz import layer_norm, windows
from inradius_gan.wgan import WGAN


class _Shrunk(nn.Module):
    """Divides a weight by a number."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, weight: Tensor) -> Tensor:
        return weight / self.by


@attrs.frozen(kw_only=True)
class SpectralNorm(WGAN):
    """A Wasserstein GAN whose critic divides every weight by its largest singular value, W / σ(W).

    σ is found by ``iterations`` steps of the power method at each pass, starting from the vector of the pass before. A
    product of layers of norm one is 1-Lipschitz. The norm of a convolution may be √κ times that of its kernel as a
    matrix, where κ is the number of windows that read an entry. The paper divides by the norm of the kernel; here
    weights are divided by both, so that the bound holds for convolutions too. The value of the game is that of
    Wasserstein GANs; the paper uses others. Source: miyato2018, Algorithm 1.
    """

    name = "wgan_spectral_norm"

    # Miyato et al. 2018, sec. 4 (with β = (0, 0.9) and five critic steps)
    lr: float = attrs.field(default=2e-4, converter=as_float, validator=positive)
    # Miyato et al. 2018, app. A
    iterations: int = attrs.field(default=1, validator=count)

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Adam without momentum."""
        return torch.optim.Adam(parameters, lr=self.lr, betas=(0.0, 0.9))

    def prepare(self, critic: nn.Module) -> None:
        """Parametrises the weights. Raises ``UnsupportedError`` for a layer whose norm is unknown."""
        for layer in _layers(critic):
            weighted = isinstance(layer, nn.Linear | nn.Conv2d)
            if layer_norm(layer) > (sys.float_info.max if weighted else 1):
                raise UnsupportedError(
                    f"{self.spec_name()} cannot hold {layer} to norm one; allowed are sequences of Linear, Conv2d with zeros "
                    "around the image, Flatten, ReLU, LeakyReLU, Tanh and Softplus"
                )
            if weighted:
                parametrizations.spectral_norm(layer, n_power_iterations=self.iterations)
            if isinstance(layer, nn.Conv2d):
                parametrize.register_parametrization(layer, "weight", _Shrunk(math.sqrt(windows(layer))))


def _layers(network: nn.Module) -> Iterable[nn.Module]:
    if not isinstance(network, nn.Sequential):
        yield network
        return
    for part in network:
        yield from _layers(part)
