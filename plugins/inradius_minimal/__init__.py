"""Minimal-norm attacks: the smallest perturbation that changes the prediction, and with it the whole robustness curve."""

from inradius import Attack, hookimpl


@hookimpl
def attacks() -> list[type[Attack]]:
    return []
