"""Attacks: the interface, what an attack maximises, and the parts that attacks are built from.

The classes of all installed attacks are attributes: ``inradius.attacks.PGD(steps=10)`` is ``inradius.make('pgd(steps=10)')``.
"""


def __getattr__(name: str) -> type:
    from inradius.components.classes import find_class

    return find_class("attacks", __name__, name)


def __dir__() -> list[str]:
    from inradius.components.classes import classes_of

    return [*globals(), *classes_of("attacks")]
