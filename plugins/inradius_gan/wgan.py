"""Wasserstein GANs: the losses shared by the three constraints."""

from abc import ABC

import attrs
from torch import Tensor

from inradius_gan.two_players import TwoPlayers


@attrs.frozen(kw_only=True)
class WGAN(TwoPlayers, ABC):
    """min_g max_f E f(x) − E f(g(z)) over generators g and critics f that are 1-Lipschitz; z is standard normal noise.

    The maximum is W₁ of the data and the generated samples, by Kantorovich and Rubinstein. A subclass defines how the
    critic is kept within its constraint. Source: arjovsky2017, Algorithm 1.
    """

    def critic_losses(self, of_real: Tensor, of_fake: Tensor) -> Tensor:
        """f(g(z)) − f(x) of each pair, (B,)."""
        return of_fake - of_real

    def generator_losses(self, of_fake: Tensor) -> Tensor:
        """−f(g(z)) of each sample, (B,)."""
        return -of_fake
