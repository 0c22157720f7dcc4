"""Attacks made of attacks: restarts, the worst of several, cascades, expectations, and the standard suites."""

from inradius import Attack, hookimpl


@hookimpl
def attacks() -> list[type[Attack]]:
    return []
