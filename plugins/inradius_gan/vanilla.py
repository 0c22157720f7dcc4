"""The first generative adversarial network, whose critic is a classifier."""

import math
from collections.abc import Iterable

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inradius.components.validators import as_float, count, flag, positive
from inradius_gan.two_players import TwoPlayers


@attrs.frozen(kw_only=True)
class GAN(TwoPlayers):
    """min_g max_D E log D(x) + E log(1 − D(g(z))), with D = sigmoid(f) the probability that an input is real.

    For the best D the value is 2 JS − log 4, with the Jensen-Shannon divergence of the data and the generated samples. It
    is log 2 wherever the two do not meet, however near they are. The generator minimises −E log D(g(z)) instead, which
    has a slope there (section 3); ``saturating`` takes the game as it is. The metric ``js`` is (value + log 4) / 2, at
    most the divergence of the samples. Source: goodfellow2014, Algorithm 1; lr and Adam are those of radford2016.
    """

    name = "gan"

    # Goodfellow et al. 2014, Algorithm 1: "we used k = 1"
    critic_steps: int = attrs.field(default=1, validator=count)
    # Radford et al. 2016, sec. 4
    lr: float = attrs.field(default=2e-4, converter=as_float, validator=positive)
    saturating: bool = attrs.field(default=False, validator=flag)

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Adam with little momentum: Radford et al. 2016, sec. 4."""
        return torch.optim.Adam(parameters, lr=self.lr, betas=(0.5, 0.999))

    def critic_losses(self, of_real: Tensor, of_fake: Tensor) -> Tensor:
        """−log D(x) − log(1 − D(g(z))) of each pair, (B,)."""
        return F.softplus(-of_real) + F.softplus(of_fake)

    def generator_losses(self, of_fake: Tensor) -> Tensor:
        """−log D(g(z)) of each sample, or log(1 − D(g(z))), (B,)."""
        return -F.softplus(of_fake) if self.saturating else F.softplus(-of_fake)

    def measured(self, of_real: Tensor, of_fake: Tensor) -> dict[str, float]:
        """The lower bound ``js`` on the Jensen-Shannon divergence of two samples, 0 where it is below; at most log 2."""
        value = -float(self.critic_losses(of_real.double(), of_fake.double()).mean())
        return {"js": max(0.0, (value + math.log(4)) / 2)}
