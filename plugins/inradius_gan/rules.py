"""The rules of the game between a critic and a generator."""

from abc import ABC, abstractmethod

import attrs
from torch import Tensor, nn

from inradius import Defense, ExampleRNG
from inradius.components.validators import as_float, count, positive


@attrs.frozen(kw_only=True)
class Rules(Defense, ABC):
    """The steps of the players, their learning rate, and the constraint of the critic."""

    # Gulrajani et al. 2017, app. C
    latent: int = attrs.field(default=128, validator=count)
    # Arjovsky et al. 2017, Algorithm 1; the two later papers use the same number
    critic_steps: int = attrs.field(default=5, validator=count)
    # Gulrajani et al. 2017, Algorithm 1
    lr: float = attrs.field(default=1e-4, converter=as_float, validator=positive)
    # the number of examples compared with as many generated ones after an epoch: the exact distance takes 20 ms for them
    samples: int = attrs.field(default=256, validator=count)

    @abstractmethod
    def critic_losses(self, of_real: Tensor, of_fake: Tensor) -> Tensor:
        """The critic's loss of each pair, from its values of a real and a generated point, two of (B,) -> (B,)."""

    @abstractmethod
    def generator_losses(self, of_fake: Tensor) -> Tensor:
        """The generator's loss of each sample, from the critic's values, (B,)."""

    def measured(self, of_real: Tensor, of_fake: Tensor) -> dict[str, float]:
        """Further numbers of an epoch by name, from the critic's values of two samples, (n,), (n,); none by default."""
        return {}

    def penalty(self, critic: nn.Module, real: Tensor, fake: Tensor, rng: ExampleRNG) -> Tensor:
        """The penalty added to the critic's loss of each pair, (B,); 0 by default."""
        return real.new_zeros(len(real))

    def confine(self, critic: nn.Module) -> None:
        """Puts the critic back within its constraint after each of its steps, in place; by default it changes nothing."""
