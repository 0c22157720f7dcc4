"""Defenses: standard, adversarial and certified training."""

from inradius import Defense, hookimpl
from inradius_training.adversarial import Adversarial
from inradius_training.certified import Certified
from inradius_training.standard import Standard


@hookimpl
def defenses() -> list[type[Defense]]:
    return [Standard, Adversarial, Certified]
