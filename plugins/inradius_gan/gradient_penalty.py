"""Wasserstein GAN with a gradient penalty."""

from collections.abc import Iterable

import attrs
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from inradius import ExampleRNG, UnsupportedError
from inradius.components.validators import as_float, radius
from inradius_gan.game import between
from inradius_gan.lipschitz import slopes
from inradius_gan.wgan import WGAN


@attrs.frozen(kw_only=True)
class GradientPenalty(WGAN):
    """A Wasserstein GAN whose critic pays λ E (‖∇f(x̂)‖₂ − 1)², x̂ uniform on the segment of a real and a generated point.

    An optimal 1-Lipschitz critic has a gradient of norm one on the segments along which mass moves. The penalty
    enforces this at the points x̂ and nowhere else. Source: gulrajani2017, Algorithm 1.
    """

    name = "wgan_gradient_penalty"

    # λ: Gulrajani et al. 2017, Algorithm 1
    weight: float = attrs.field(default=10.0, converter=as_float, validator=radius)

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Adam without momentum: Gulrajani et al. 2017, Algorithm 1."""
        return torch.optim.Adam(parameters, lr=self.lr, betas=(0.0, 0.9))

    def prepare(self, critic: nn.Module) -> None:
        """Raises ``UnsupportedError`` for BatchNorm, with which a gradient depends on other points too (sec. 4)."""
        if any(isinstance(layer, _BatchNorm) for layer in critic.modules()):
            raise UnsupportedError(
                f"{self.spec_name()} penalises the gradient at each point, and BatchNorm in a critic mixes points; "
                "allowed are critics without, for instance with LayerNorm"
            )

    def penalty(self, critic: nn.Module, real: Tensor, fake: Tensor, rng: ExampleRNG) -> Tensor:
        """λ (‖∇f(x̂)‖₂ − 1)² of each pair, (B,)."""
        steep = slopes(critic, between(real, fake, rng), create_graph=True)
        return self.weight * (steep - 1).square()
