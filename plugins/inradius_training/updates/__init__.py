"""Updates of the weights."""

from inradius.training.slots import Update
from inradius_training.updates.awp import AWP
from inradius_training.updates.sam import SAM
from inradius_training.updates.sampa import SAMPa

UPDATES: list[type[Update]] = [AWP, SAM, SAMPa]
