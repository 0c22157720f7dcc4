"""Certifiers: the interface, properties, certificates, and the rules by which bounds pass a layer.

The classes of all installed certifiers are attributes: ``inradius.certifiers.Crown()`` is ``inradius.make('crown()')``.
"""


def __getattr__(name: str) -> type:
    from inradius.components.classes import find_class

    return find_class("certifiers", __name__, name)


def __dir__() -> list[str]:
    from inradius.components.classes import classes_of

    return [*globals(), *classes_of("certifiers")]
