"""Attacks that ask the model for scores or labels alone, and random perturbations."""

from inradius import Attack, hookimpl


@hookimpl
def attacks() -> list[type[Attack]]:
    return []
