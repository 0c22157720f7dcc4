"""Other libraries' attacks as components, checked like any other."""

from inradius import Attack, hookimpl


@hookimpl
def attacks() -> list[type[Attack]]:
    return []
