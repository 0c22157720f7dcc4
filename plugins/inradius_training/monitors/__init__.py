"""First-party monitors."""

from inradius.slots import Monitor

MONITORS: list[type[Monitor]] = []
