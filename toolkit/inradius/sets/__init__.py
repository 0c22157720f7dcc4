"""Threat models: sets Δ(x) of allowed perturbations, known through their oracles.

The classes of all installed sets are attributes: ``inradius.sets.Linf(eps=0.1)`` is ``inradius.make('linf(eps=0.1)')``.
"""


def __getattr__(name: str) -> type:
    from inradius.components.classes import find_class

    return find_class("threat_models", __name__, name)


def __dir__() -> list[str]:
    from inradius.components.classes import classes_of

    return [*globals(), *classes_of("threat_models")]
