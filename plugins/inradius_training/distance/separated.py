"""What FAIT and MER share: a divergence of one's choice, and the attack that maximises it."""

from typing import get_args

import attrs

from inradius import AdversarialDefense, Attack
from inradius.components.validators import component
from inradius_training.distance.bregman import BREGMAN, Bregman, Psi
from inradius_training.distance.compared import climber


def _attack(defense: "Separated") -> Attack:
    # a ψ that is not known is refused once all fields are there
    objective = BREGMAN.get(defense.psi, BREGMAN["negative_entropy"]).objective
    return climber(objective, of=f"attack of {defense.spec_name()}")()


@attrs.frozen(kw_only=True)
class Separated(AdversarialDefense):
    """Training whose loss is made of divergences Δ(p, q) of ``psi``: of the negative entropy, then KL(p ‖ q), or of squares.

    With ``psi="squares"`` Δ(p, q) = ‖p − q‖², in the loss of the clean inputs and in the attack alike.
    """

    psi: Psi = attrs.field(default="negative_entropy", validator=attrs.validators.in_(get_args(Psi)))
    attack: Attack = attrs.field(default=attrs.Factory(_attack, takes_self=True), validator=component(Attack))

    @property
    def bregman(self) -> Bregman:
        return BREGMAN[self.psi]
