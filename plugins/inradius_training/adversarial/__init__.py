"""Training on what attacks find."""

from inradius import Defense
from inradius_training.adversarial.adversarial import Adversarial
from inradius_training.adversarial.standard import Standard

DEFENSES: list[type[Defense]] = [Standard, Adversarial]
