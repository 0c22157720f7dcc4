"""The options of ``train``: the recipe that a caller's options make, and the signatures that the recipe's fields give."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import attrs

from inradius.components.component import Component
from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.errors import SpecError, reason
from inradius.training.defense import Defense
from inradius.training.option import OPTIMISATION, SLOTS, option_of
from inradius.training.recipe import Recipe
from inradius.training.schedule import Schedule
from inradius.training.slots import Direction, Monitor, Regularizer, Sampler, Transform, Update

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

# the kind of component in each field that holds one, or any number of them
KINDS: dict[str, type[Component]] = {
    "schedule": Schedule,
    "transforms": Transform,
    "sampler": Sampler,
    "radius": Schedule,
    "regularizers": Regularizer,
    "direction": Direction,
    "update": Update,
    "monitors": Monitor,
}
SEVERAL = ("transforms", "regularizers", "monitors")

FIELDS: dict[str, "attrs.Attribute[Any]"] = {field.name: field for field in attrs.fields(Recipe)}


def spread(parameters: Iterable[inspect.Parameter]) -> Callable[[F], F]:
    """A decorator that shows these parameters in the place of a function's ``**options``."""
    given = list(parameters)

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        function.__signature__ = signature.replace(parameters=[*own, *given])  # type: ignore[attr-defined]
        return function

    return decorate


def parameters() -> list[inspect.Parameter]:
    """The options as parameters of a Python function; a component may be a spec, and None is the field's default."""
    return [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default_of(field), annotation=_annotation(field)
        )
        for name, field in FIELDS.items()
    ]


def default_of(field: "attrs.Attribute[Any]") -> Any:
    """The default of an option; None where the recipe makes it."""
    return None if isinstance(field.default, attrs.Factory) else field.default  # type: ignore[arg-type]


def _annotation(field: "attrs.Attribute[Any]") -> Any:
    if field.name == "validation":
        return float | Dataset | str
    kind: Any = KINDS.get(field.name)
    if field.name in SEVERAL:
        return Sequence[kind | str]
    if kind is not None:
        return kind | str | None
    return field.type | None if default_of(field) is None else field.type  # type: ignore[operator]


def recipe_of(defense: Defense, options: dict[str, Any]) -> Recipe:
    """The recipe that the options make with the slots of a defense.

    Raises ``SpecError`` for an option that is unknown or wrong, or that the defense has no place for.
    """
    _refuse_unknown(options)
    asked = {name: value for name, value in options.items() if not _is_open(name, value)}
    _refuse_unused(defense, asked)
    filled = {**defense.slots(), **asked}
    try:
        return Recipe(**{name: _component(name, value) for name, value in filled.items()})
    except (TypeError, ValueError) as error:
        raise SpecError(f"train: {reason(error)}") from error


def _is_open(name: str, value: object) -> bool:
    """True for a value that leaves the choice to the defense and the recipe."""
    return value in (None, (), []) if name in SEVERAL else value is None and default_of(FIELDS[name]) is None


def _refuse_unknown(options: dict[str, Any]) -> None:
    for name in options:
        if name not in FIELDS:
            raise SpecError(f"train: there is no option {name!r}; allowed are {', '.join(FIELDS)}")


def _refuse_unused(defense: Defense, asked: dict[str, Any]) -> None:
    """Raises ``SpecError`` for an option that the defense has no place for."""
    allowed = [
        name
        for name, field in FIELDS.items()
        if option_of(field).group in (OPTIMISATION, SLOTS) and name not in defense.unused_slots()
    ]
    for name in sorted(asked.keys() & defense.unused_slots()):
        value = asked[name]
        if value != FIELDS[name].default:
            raise SpecError(
                f"{name}={value!r} has no place in {defense}, which makes its own steps; allowed are "
                f"{', '.join(sorted(allowed)) or 'no slots'}"
            )


def _component(name: str, value: Any) -> Any:
    """The value of a field: components made from their specs, several as a tuple."""
    if name not in KINDS:
        return value
    if name in SEVERAL:
        # one alone is a list of one
        parts = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
        return tuple(made(name, part, KINDS[name]) for part in parts)
    return made(name, value, KINDS[name])


def made(name: str, value: Any, kind: type[T]) -> T:
    """The component that an option gives or spells; raises ``SpecError`` that names the option."""
    try:
        found: T = make(value, kind)
    except SpecError as error:
        raise SpecError(f"{name}={value!r}: {error}") from error
    return found
