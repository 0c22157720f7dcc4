"""What threat models, attacks, certifiers, defenses and objectives have in common: they are values with a spec."""

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import attrs


def snake_case(name: str) -> str:
    """The spec name of a class name: ``FrankWolfe`` -> ``frank_wolfe``, ``PGD`` -> ``pgd``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@attrs.frozen(kw_only=True)
class Component:
    """A frozen value that is built from a spec and prints as one.

    Subclasses are ``@attrs.frozen(kw_only=True)``. ``name`` is the spec name, by default the class name in snake case.
    ``positional`` lists the parameters that a spec may give without a name; a last entry ``"*members"`` takes the rest.
    """

    name: ClassVar[str] = ""
    positional: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def spec_name(cls) -> str:
        """The name that specs use for this class."""
        return cls.name or snake_case(cls.__name__)

    def spec(self, *, full: bool = False) -> str:
        """A spec that builds an equal component; ``full`` writes the defaults too, but for None, for records."""
        return f"{self.spec_name()}({', '.join(_arguments(self, full))})"

    def __str__(self) -> str:
        return self.spec()


def _arguments(component: Component, full: bool) -> Iterator[str]:
    rest = component.positional[-1][1:] if component.positional and component.positional[-1].startswith("*") else None
    if rest is not None:
        # what has no name comes first
        yield from (spell(member, full) for member in getattr(component, rest))
    for field in attrs.fields(type(component)):
        value, default = getattr(component, field.name), _default(field, component)
        # None stands for a part that is left out
        if field.name != rest and (value != default or (full and value is not None)):
            yield f"{field.alias}={spell(value, full)}"


def _default(field: "attrs.Attribute[Any]", component: Component) -> Any:
    default = field.default
    if not isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return default
    return default.factory(component) if default.takes_self else default.factory()  # type: ignore[union-attr]


def spell(value: object, full: bool = False) -> str:
    """A value as a spec writes it."""
    if isinstance(value, Component):
        return value.spec(full=full)
    if isinstance(value, tuple | list):
        inside = ", ".join(spell(item, full) for item in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    # the spec language has no name for infinity, but reads a number that overflows
    return repr(value).replace("inf", "1e999") if isinstance(value, float) else repr(value)
