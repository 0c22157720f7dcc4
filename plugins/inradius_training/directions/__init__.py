"""First-party directions."""

from inradius.slots import Direction

DIRECTIONS: list[type[Direction]] = []
