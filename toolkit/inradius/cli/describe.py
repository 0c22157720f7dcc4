"""``inradius describe``."""

import inspect
from collections.abc import Iterator
from typing import Annotated, Any

import attrs
import typer

from inradius.cli.console import console, say, table
from inradius.components.component import Component, spell
from inradius.components.registry import KINDS, Entry, entries, find, layer_rules

REQUIRED = "required"


def describe(
    name: Annotated[str, typer.Argument(help="A registered name, as in pgd, or a layer with a rule, as in Conv2d.")],
) -> None:
    """The documentation of a name, its parameters with their defaults, and its distribution."""
    plain = name.partition("(")[0].strip()
    rules = [(layer, rule) for layer, rule in layer_rules().items() if layer.__name__ == plain]
    if rules and plain not in entries():
        for layer, rule in rules:
            say(f"{layer.__module__}.{layer.__name__}")
            say(f"one of the layer rules, from {type(rule).__module__}")
            say()
            say(inspect.getdoc(type(rule)) or "It has no documentation.")
        return
    entry = find(plain)
    kind = next(hook for hook, made in KINDS.items() if made is entry.kind)
    say(f"{entry.name}({', '.join(entry.parameters)})")
    say(f"one of the {kind.replace('_', ' ')}, from {entry.origin}")
    say()
    say(inspect.getdoc(entry.build) or "It has no documentation.")
    made = table("parameter", "type", "default")
    for row in parameters(entry):
        made.add_row(*row)
    if made.row_count:
        say()
        console().print(made)


def parameters(entry: Entry) -> Iterator[tuple[str, str, str]]:
    """The name, the type and the default of each parameter, as they are printed."""
    if isinstance(entry.build, type) and issubclass(entry.build, Component):
        for field in attrs.fields(entry.build):
            if field.init:
                yield str(field.alias), _type(field.type), _field_default(field)
        return
    for parameter in inspect.signature(entry.build).parameters.values():
        default = REQUIRED if parameter.default is parameter.empty else repr(parameter.default)
        several = parameter.kind is parameter.VAR_POSITIONAL
        yield parameter.name, _type(parameter.annotation), "any number" if several else default


def _field_default(field: "attrs.Attribute[Any]") -> str:
    if field.default is attrs.NOTHING:
        return REQUIRED
    default: Any = field.default
    if not isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return spell(default)
    return "depends on the others" if default.takes_self else spell(default.factory())


def _type(annotation: object) -> str:
    if annotation is None or annotation is inspect.Parameter.empty:
        return ""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
