"""``inradius list``."""

import inspect
from typing import Annotated

import typer

from inradius.cli.console import console, say, table
from inradius.components.registry import KINDS, Entry, entries, layer_rules
from inradius.errors import SpecError
from inradius.recipes import named_recipe as recipes
from inradius.reproduction import table as tables

RULES, RECIPES, TABLES = "layer_rules", "recipes", "tables"


def list_names(
    kind: Annotated[str | None, typer.Argument(help="One kind only, as in attacks, recipes or tables.")] = None,
    word: Annotated[
        str | None, typer.Option("--filter", metavar="WORD", help="Names and lines with this word only.")
    ] = None,
    short: Annotated[bool, typer.Option("--short", help="The names alone, one a line.")] = False,
) -> None:
    """Every registered name, by kind, with one line of documentation and its distribution."""
    for chosen in _kinds(kind):
        rows = _rows(chosen)
        rows = [row for row in rows if word is None or word.lower() in f"{row[0]} {row[1]}".lower()]
        if short:
            for name, *_ in rows:
                say(name)
            continue
        if not rows:
            continue
        made = table(chosen.replace("_", " "), "", "from")
        for row in rows:
            made.add_row(*row)
        console().print(made)
        say()


def first_line(thing: object) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def _kinds(kind: str | None) -> list[str]:
    known = [*KINDS, RULES, RECIPES, TABLES]
    if kind is None:
        return known
    plain = kind.strip().lower().replace("-", "_").replace(" ", "_")
    for name in known:
        if plain in (name, name.removesuffix("s"), name.replace("_", "")):
            return [name]
    raise SpecError(f"{kind!r} is not a kind of thing; allowed are {', '.join(known)}")


def _rows(kind: str) -> list[tuple[str, str, str]]:
    """The name, a line and the origin of everything of a kind."""
    if kind == RECIPES:
        return [(name, about, "inradius.recipes") for name, about in recipes.names().items()]
    if kind == TABLES:
        return [(name, title, "inradius.reproduction") for name, title in tables.names().items()]
    return _rules() if kind == RULES else [(e.name, first_line(e.build), e.origin) for e in _of(kind)]


def _of(hook: str) -> list[Entry]:
    return sorted((e for e in entries().values() if e.kind is KINDS[hook]), key=lambda e: e.name)


def _rules() -> list[tuple[str, str, str]]:
    rules = sorted(layer_rules().items(), key=lambda pair: pair[0].__name__)
    return [(layer.__name__, first_line(type(rule)), type(rule).__module__) for layer, rule in rules]
