"""First-party samplers."""

from inradius.slots import Sampler

SAMPLERS: list[type[Sampler]] = []
