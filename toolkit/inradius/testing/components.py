"""A law of every component: it is a value with a spec."""

from typing import Any

from inradius.components.component import Component
from inradius.components.registry import make
from inradius.errors import SpecError


def spec_round_trip(component: Component, case: Any = None) -> None:
    """The spec of a component, short or full, builds an equal component with an equal hash."""
    for spec in (component.spec(), component.spec(full=True)):
        try:
            built: object = make(spec)
        except SpecError as error:
            raise AssertionError(f"{spec} does not build a {type(component).__name__}: {error}") from error
        assert built == component, f"{spec} builds {built!r}, which is not {component!r}"
        assert hash(built) == hash(component), f"{spec} builds an equal component with another hash"
