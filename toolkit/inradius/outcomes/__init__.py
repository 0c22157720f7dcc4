"""Outcomes: what counts as a broken example, for attacks, the referee and certifiers alike.

The classes of all installed outcomes are attributes: ``inradius.outcomes.TopK(k=5)`` is ``inradius.make('top_k(k=5)')``.
"""


def __getattr__(name: str) -> type:
    from inradius.components.classes import find_class

    return find_class("outcomes", __name__, name)


def __dir__() -> list[str]:
    from inradius.components.classes import classes_of

    return [*globals(), *classes_of("outcomes")]
