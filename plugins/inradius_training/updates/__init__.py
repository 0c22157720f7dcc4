"""First-party updates."""

from inradius.slots import Update

UPDATES: list[type[Update]] = []
