"""A table of a paper: its rows, its columns, and the numbers that it prints."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import attrs

from inradius.errors import SpecError
from inradius.recipes.named_recipe import SCALES, SETTINGS, NamedRecipe, Scale
from inradius.recipes.toml_file import check_keys, files_in, find_file, read_toml, value_of
from inradius.reproduction.column import Column

FOLDER = Path(__file__).parent / "tables"

_HEAD = ("title", "source", "place", "claim", "unlike", "seeds", "columns", "rows")
_ROW = ("name", "recipe", "train", "with", "printed", *SCALES)


@attrs.frozen
class Printed:
    """A number that a paper prints, with its deviation over the seeds where it prints one."""

    value: float
    deviation: float | None = None

    @classmethod
    def read(cls, given: Any, where: str) -> Self:
        """The number, or the first of a list of two, whose second is the deviation."""
        parts = given if isinstance(given, list) else [given]
        if not 1 <= len(parts) <= 2 or not all(
            isinstance(one, int | float) and not isinstance(one, bool) for one in parts
        ):
            raise SpecError(f"{where} prints {given!r}; allowed are a number and a list of a number and its deviation")
        return cls(*(float(one) for one in parts))


@attrs.frozen(kw_only=True)
class Row:
    """A row: its name, the training behind it at this scale and at the paper's, and the numbers that the paper prints.

    Without ``train`` the recipe's model is measured as it is, with the weights that it brings.
    """

    name: str
    train: bool
    recipe: NamedRecipe
    paper: NamedRecipe
    printed: Mapping[str, Printed]


@attrs.frozen(kw_only=True)
class Table:
    """A table at one scale. ``claim`` is what the paper says of it, and ``unlike`` what differs here and is no setting."""

    name: str
    scale: Scale
    title: str
    source: str
    place: str
    claim: str
    unlike: tuple[str, ...]
    seeds: int
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, name: str, scale: str = "small", folder: str | Path | None = None) -> Self:
        """The table of a name, or of a file that ends with .toml; ``folder`` holds the data files that its recipes read.

        Raises ``SpecError`` for a name, a scale or a key that is unknown, and where a folder is needed and not given.
        """
        if scale not in SCALES:
            raise SpecError(f"scale={scale!r} is not known; allowed are {' and '.join(SCALES)}")
        path = find_file(name, files_in(FOLDER), "table")
        content, where = read_toml(path), f"the table {path.stem}"
        check_keys(content, _HEAD, where)
        columns = value_of(content, "columns", list, where)
        rows = [
            _row(given, scale, folder, f"{where} in its row {number}")
            for number, given in enumerate(value_of(content, "rows", list, where), 1)
        ]
        seeds, unlike = value_of(content, "seeds", dict, where, {}), value_of(content, "unlike", dict, where, {})
        found = cls(
            name=path.stem,
            scale=scale,
            title=value_of(content, "title", str, where),
            source=value_of(content, "source", str, where),
            place=value_of(content, "place", str, where, ""),
            claim=value_of(content, "claim", str, where, ""),
            unlike=tuple(value_of(unlike, scale, list, where, [])),
            seeds=value_of(seeds, scale, int, where, 3),
            columns=tuple(
                Column.read(given, scale, f"{where} in its column {n}") for n, given in enumerate(columns, 1)
            ),
            rows=tuple(rows),
        )
        found.check()
        return found

    def check(self) -> None:
        """Raises ``SpecError`` where a name is there twice, or a row or a difference names a column that is not there."""
        where, columns = f"the table {self.name}", [column.name for column in self.columns]
        for kind, listed in (("column", columns), ("row", [row.name for row in self.rows])):
            if twice := {one for one in listed if listed.count(one) > 1}:
                raise SpecError(f"{where} has the {kind} {min(twice)!r} twice; allowed are names that differ")
        named = [key for row in self.rows for key in row.printed] + [
            one for column in self.columns for one in column.of
        ]
        for name in named:
            if name not in columns:
                raise SpecError(f"{where} names the column {name!r}; its columns are {', '.join(columns)}")

    def only(self, names: list[str]) -> "Table":
        """The table with some of its rows, by their names. Raises ``SpecError`` for a name that it does not have."""
        known = {row.name: row for row in self.rows}
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3)
                told = f"did you mean {' or '.join(map(repr, near))}?" if near else f"its rows are {', '.join(known)}"
                raise SpecError(f"the table {self.name} has no row {name!r}; {told}")
        return attrs.evolve(self, rows=tuple(row for row in self.rows if row.name in names)) if names else self


def names() -> dict[str, str]:
    """The names of the tables with their titles."""
    return {name: read_toml(path).get("title", "") for name, path in files_in(FOLDER).items()}


def _row(given: Any, scale: str, folder: str | Path | None, where: str) -> Row:
    if not isinstance(given, dict):
        raise SpecError(f"{where} has {given!r}; allowed is a table of keys and values")
    check_keys(given, _ROW, where)
    recipe = value_of(given, "recipe", str, where)
    printed = value_of(given, "printed", dict, where, {})
    return Row(
        name=value_of(given, "name", str, where),
        train=value_of(given, "train", bool, where, True),
        recipe=_changed(recipe, given, scale, folder, where),
        # the paper's settings are told, not run, so that its files need not be there
        paper=_changed(recipe, given, "paper", "FOLDER", where),
        printed={key: Printed.read(value, where) for key, value in printed.items()},
    )


def _changed(name: str, row: Mapping[str, Any], scale: str, folder: str | Path | None, where: str) -> NamedRecipe:
    """The recipe of a row, with the settings that the row has in place of the recipe's."""
    changes = value_of(row, "with", dict, where, {}) | value_of(row, scale, dict, where, {})
    check_keys(changes, SETTINGS, where)
    return NamedRecipe.of(name, scale, folder, changes)
