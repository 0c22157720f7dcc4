"""Defaults that another plugin brings: one that is missing is told with whose default it is."""

from collections.abc import Callable
from typing import TypeVar

from inradius.components.registry import make
from inradius.errors import SpecError

T = TypeVar("T")


def default(spec: str, kind: type[T], *, of: str) -> Callable[[], T]:
    """A factory of the component that the spec makes, for the default of a field or a parameter.

    ``of`` says whose default it is, as in ``attrs.field(factory=default("pgd(steps=10)", Attack, of="attack of my_defense"))``.
    The spec is read when the factory is called. It raises ``SpecError`` where the spec cannot be made, as where the plugin
    that brings the name is disabled; the error names the default and its owner.
    """

    def made() -> T:
        try:
            return make(spec, kind)
        except SpecError as error:
            raise SpecError(
                f"the default {of}, {spec}, cannot be made: {error}; give another {kind.__name__}, or enable the plugin that "
                "brings it"
            ) from error

    return made
