"""Defaults that another plugin brings: where one is missing, the error names its owner."""

from collections.abc import Callable
from typing import TypeVar

from inradius.components.registry import make
from inradius.errors import SpecError

T = TypeVar("T")


def default(spec: str, kind: type[T], *, of: str) -> Callable[[], T]:
    """A factory of the component that the spec makes, for the default of a field or a parameter.

    ``of`` names the field and its owner, as in ``factory=default("pgd(steps=10)", Attack, of="attack of my_defense")``. The
    spec is read when the factory is called. The factory raises ``SpecError`` where the spec cannot be made, as where the
    plugin that brings the name is disabled; the error names the default and its owner.
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
