"""The classes of all installed defenses: ``inradius.defenses.TRADES()`` is ``inradius.make('trades()')``."""


def __getattr__(name: str) -> type:
    from inradius.components.classes import find_class

    return find_class("defenses", __name__, name)


def __dir__() -> list[str]:
    from inradius.components.classes import classes_of

    return [*globals(), *classes_of("defenses")]
