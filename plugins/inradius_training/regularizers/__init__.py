"""First-party regularizers."""

from inradius.slots import Regularizer

REGULARIZERS: list[type[Regularizer]] = []
