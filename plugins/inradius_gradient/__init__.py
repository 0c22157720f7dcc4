"""Attacks that follow the gradient: FGSM, PGD, Frank-Wolfe, and growing sets, on every threat model alike."""

from inradius import Attack, hookimpl
from inradius_gradient.fgsm import FGSM as FGSM
from inradius_gradient.frank_wolfe import FrankWolfe as FrankWolfe
from inradius_gradient.grow import Grow as Grow
from inradius_gradient.pgd import PGD as PGD


@hookimpl
def attacks() -> list[type[Attack]]:
    return [FGSM, PGD, FrankWolfe, Grow]
