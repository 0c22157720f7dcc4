"""Wasserstein GAN with weight clipping."""

from collections.abc import Iterable

import attrs
import torch
from torch import nn

from inradius.components.validators import as_float, positive
from inradius_gan.wgan import WGAN


@attrs.frozen(kw_only=True)
class Clip(WGAN):
    """A Wasserstein GAN whose critic keeps every weight in [−c, c]: w ← min(max(w, −c), c) after each of its steps.

    The weights lie in a compact set, so all critics are K-Lipschitz for some K that depends on c, widths and depth. The
    value of a critic is at most K · W₁. Source: arjovsky2017, Algorithm 1.
    """

    name = "wgan_clip"

    # Arjovsky et al. 2017, Algorithm 1
    c: float = attrs.field(default=0.01, converter=as_float, validator=positive)
    lr: float = attrs.field(default=5e-5, converter=as_float, validator=positive)

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """RMSprop, because momentum made the game unstable (Arjovsky et al. 2017, sec. 4)."""
        return torch.optim.RMSprop(parameters, lr=self.lr)

    @torch.no_grad()
    def confine(self, critic: nn.Module) -> None:
        """Clips each weight and each bias."""
        for parameter in critic.parameters():
            parameter.clamp_(-self.c, self.c)
