"""The shared part of FAIT and MER: a divergence chosen by ``psi``, and the attack that maximises it."""

from typing import get_args

import attrs

from inradius import AdversarialDefense, Attack
from inradius.components.validators import component
from inradius_training.distance.bregman import BREGMAN, Bregman, Psi
from inradius_training.distance.compared import climber


def _attack(defense: "Separated") -> Attack:
    # the validator refuses an unknown ψ once all fields are set
    objective = BREGMAN.get(defense.psi, BREGMAN["negative_entropy"]).objective
    return climber(objective, of=f"attack of {defense.spec_name()}")()


@attrs.frozen(kw_only=True)
class Separated(AdversarialDefense):
    """Training whose loss consists of divergences Δ(p, q) of ``psi``: KL(p ‖ q) for the negative entropy, or squares.

    With ``psi="squares"`` Δ(p, q) = ‖p − q‖², both in the loss of the clean inputs and in the attack.
    """

    psi: Psi = attrs.field(default="negative_entropy", validator=attrs.validators.in_(get_args(Psi)))
    attack: Attack = attrs.field(default=attrs.Factory(_attack, takes_self=True), validator=component(Attack))

    @property
    def bregman(self) -> Bregman:
        return BREGMAN[self.psi]
