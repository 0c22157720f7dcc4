"""What the site takes from the code: the registered components, the command line, and links into the bibliography."""

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer.main
from mkdocs.utils import get_relative_url
from torch import nn

from inradius import layer_rules
from inradius.cli.app import app
from inradius.cli.describe import parameters
from inradius.components.component import spell
from inradius.components.plugins import installed
from inradius.components.registry import KINDS, Entry, entries
from inradius.models.onnx.operators import FAMILIES as ONNX_FAMILIES
from inradius.recipes.named_recipe import NamedRecipe
from inradius.recipes.named_recipe import names as recipe_names
from inradius.report.evidence.record import schema
from inradius.reproduction.table import Table
from inradius.reproduction.table import names as table_names
from inradius.testing.running import LAWS
from inradius.training.option import option_of
from inradius.training.options import FIELDS
from inradius.training.recipe import Recipe
from inradius_bounds.lowering.executed import of_level_float
from inradius_bounds.lowering.operators import FAMILIES

CARDS = Path(__file__).parents[2] / "plugins" / "inradius_architectures" / "weights"
KEY = re.compile(r"\b[a-z]+(?:19|20)\d\d[a-z]*\b")
SOURCES = re.compile(r"Source: [^<]*")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with ``<!-- generated: name -->`` replaced by what is generated under that name."""
    return re.sub(r"<!-- generated: (\w+) -->", lambda match: "\n".join(GENERATED[match[1]]()), markdown)


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """The page with each key after ``Source:`` linked to its entry in the bibliography."""
    references = get_relative_url("references/", page.url)
    return SOURCES.sub(
        lambda found: KEY.sub(lambda key: f'<a href="{references}#{key[0]}">{key[0]}</a>', found[0]), html
    )


def components() -> Iterator[str]:
    """Every component of this distribution, by kind."""
    for hook, kind in KINDS.items():
        yield f"## {title(hook)}\n"
        for entry in sorted(own_entries(), key=lambda entry: entry.name):
            if entry.kind is kind:
                yield from component(entry)
    yield f"## {title('layer_rules')}\n"
    yield from rules()


def own_entries() -> list[Entry]:
    """The names that this distribution registers, whatever else is installed."""
    packages = {plugin.value.split(".")[0] for plugin in installed() if plugin.distribution == "inradius"}
    return [entry for entry in entries().values() if entry.build.__module__.split(".")[0] in packages]


def component(entry: Entry) -> Iterator[str]:
    yield f"### {entry.name} {{#{entry.name}}}\n"
    yield f"`{entry.name}({', '.join(entry.parameters)})`, `{entry.build.__module__}`\n"
    yield text(entry.build)
    rows = [(f"`{name}`", code(kind), code(default)) for name, kind, default in parameters(entry)]
    yield from table(("parameter", "type", "default"), rows)


def rules() -> Iterator[str]:
    found = sorted(layer_rules().items(), key=lambda pair: pair[0].__name__)
    rows = [(f"`{layer.__name__}`", escaped(sentence(type(rule)))) for layer, rule in found]
    yield from table(("layer", "how bounds pass it"), rows)


def operators() -> Iterator[str]:
    """Every operator of torch that bounds pass, by family, with the levels of certificates through it."""
    for family, rewrites in FAMILIES.items():
        yield f"## {family}\n"
        rows = []
        for name, rewrite in sorted(rewrites.items()):
            level = "float" if of_level_float(name) else "real"
            rows.append((f"`{name}`", level, escaped(sentence(rewrite)) if rewrite.__doc__ else ""))
        yield from table(("operator", "level", "how bounds pass it"), rows)


def onnx_operators() -> Iterator[str]:
    """Every operator of ONNX that the reader knows, by family."""
    for family, lowered in ONNX_FAMILIES.items():
        yield f"## {family}\n"
        rows = [
            (f"`{name}`", escaped(sentence(lower)) if lower.__doc__ else "") for name, lower in sorted(lowered.items())
        ]
        yield from table(("operator", "what it makes"), rows)


def commands() -> Iterator[str]:
    """Every command with its arguments and options."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]  # typer's own class
        yield f"## inradius {name} {{#{name}}}\n"
        yield f"{command.help}\n"
        yield from table(("option", "what it is", "default"), map(option, command.params))


def train_options() -> Iterator[str]:
    """Every option of ``train`` that is a field of the recipe, with its default."""
    recipe, rows = Recipe(), []
    for name, field in FIELDS.items():
        told = option_of(field)
        default = told.default or ("" if field.default in (None, ()) else spell(getattr(recipe, field.name)))
        rows.append((f"`{name}`", escaped(told.help), code(default)))
    yield from table(("option", "what it is", "default"), rows)


def recipes() -> Iterator[str]:
    """Every recipe, with what it is about and its sources."""
    rows = [
        (f"`{name}`", escaped(about), " ".join(f"[{key}](../references.md#{key})" for key in keys))
        for name, about, keys in cited_recipes()
    ]
    yield from table(("recipe", "what it is", "source"), rows)


def cited_recipes() -> Iterator[tuple[str, str, list[str]]]:
    """The names of the recipes, what they are about, and the keys of their sources."""
    for name in recipe_names():
        recipe = NamedRecipe.of(name)
        yield name, recipe.about, recipe.source.split(", ")


def tables() -> Iterator[str]:
    """Every table that can be reproduced, with its place in its paper and the number of its rows."""
    found = [Table.of(name) for name in table_names()]
    rows = [
        (
            f"`{one.name}`",
            escaped(one.title),
            escaped(f"{one.place}") + f" ([{one.source}](../references.md#{one.source}))",
            str(len(one.rows)),
        )
        for one in found
    ]
    yield from table(("table", "what it is", "where it stands", "rows"), rows)


def held_laws() -> Iterator[str]:
    """Every law, by the kind of component it is for."""
    for kind, held in LAWS.items():
        yield f"### {'Model' if kind is nn.Module else kind.__name__}\n"
        rows = [(f"`{law.__name__}`", escaped(sentence(law))) for law in held]
        yield from table(("law", "what it says"), rows)


def evidence_entries() -> Iterator[str]:
    """Every entry of evidence with what it holds, by the schema."""
    rows = []
    for name, entry in schema()["properties"].items():
        rows.append((f"`{name}`", "", escaped(described(entry))))
        rows += [("", f"`{below}`", escaped(described(it))) for below, it in entry.get("properties", {}).items()]
    yield from table(("entry", "entry in it", "what it is"), rows)


def described(entry: dict[str, Any]) -> str:
    """The description of an entry of a schema, or of what it refers to, in one line."""
    if "description" not in entry and "$ref" in entry:
        entry = schema()["$defs"][entry["$ref"].rpartition("/")[2]]
    return str(entry.get("description", entry.get("const", "")))


def cards() -> Iterator[str]:
    """The cards of the trained networks, one level down."""
    for card in sorted(CARDS.glob("*.md")):
        yield re.sub(r"^#", "##", card.read_text("utf-8"), flags=re.MULTILINE)


def sentence(thing: object) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def option(given: Any) -> tuple[str, str, str]:
    """An argument or option as a row; a default that is computed has a text of its own."""
    names = (
        [*given.opts, *given.secondary_opts] if given.opts and given.opts[0].startswith("-") else [given.name.upper()]
    )
    value = "" if not given.metavar or given.metavar in names else f" {given.metavar}"
    shown = given.show_default if isinstance(given.show_default, str) else given.default
    default = "required" if given.required else "" if shown in (None, False) else code(str(shown))
    return ", ".join(f"`{name}{value}`" for name in names), given.help or "", default


def text(thing: object) -> str:
    """A docstring as Markdown; ``*S`` in a shape is no emphasis."""
    return re.sub(r"\*(?=[a-zA-Z])", r"\\*", inspect.getdoc(thing) or "") + "\n"


def table(head: tuple[str, ...], rows: Any) -> Iterator[str]:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if lines:
        yield f"| {' | '.join(head)} |"
        yield f"|{' --- |' * len(head)}"
        yield from lines
        yield ""


def code(value: str) -> str:
    return value if value in ("", "required", "any number") or " on the " in value else f"`{value}`"


def escaped(value: str) -> str:
    return value.replace("|", r"\|").replace("*", r"\*")


def title(hook: str) -> str:
    return hook.replace("_", " ").capitalize()


GENERATED: dict[str, Callable[[], Iterator[str]]] = {
    "components": components,
    "commands": commands,
    "operators": operators,
    "onnx_operators": onnx_operators,
    "train_options": train_options,
    "recipes": recipes,
    "tables": tables,
    "laws": held_laws,
    "evidence_entries": evidence_entries,
    "cards": cards,
}
