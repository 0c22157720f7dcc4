"""Samplers: the choice of examples for each mini-batch."""

from inradius.training.slots import Sampler
from inradius_training.samplers.cfol import CFOL
from inradius_training.samplers.mixed import Mixed

SAMPLERS: list[type[Sampler]] = [CFOL, Mixed]
