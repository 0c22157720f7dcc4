"""``inradius plugins --check NAME``: the laws of everything that a plugin brings, as a table."""

import sys
import unittest
from typing import TYPE_CHECKING

import attrs
from rich.console import Console

from inradius.cli.console import console, say, table
from inradius.errors import InputError

if TYPE_CHECKING:
    from inradius.testing import PluginCase
    from inradius.testing.running import Law

HOLDS, SKIPPED = "holds", "not checked: "


@attrs.frozen
class Row:
    """A line of the table: what was checked, its law, and what became of it."""

    subject: str
    law: str
    found: str


def check_plugin(name: str, *, examples: int | None = None) -> bool:
    """Prints a table of the laws that a plugin's components keep or break; True where all hold."""
    rows = _rows(name, examples)
    made = table("component", "law", "result")
    for row in rows:
        made.add_row(row.subject, row.law, row.found)
    console().print(made)
    skipped = sum(row.found.startswith(SKIPPED) for row in rows)
    held = sum(row.found == HOLDS for row in rows)
    broken = len(rows) - skipped - held
    say(f"{broken} of {len(rows)} laws are broken" if broken else f"all {held} laws hold")
    if skipped:
        say(f"not checked, since they cannot be made here: {skipped}")
    return not broken


def _rows(name: str, examples: int | None) -> list[Row]:
    try:
        import hypothesis

        from inradius.testing import plugin_laws, register_profiles
    except ModuleNotFoundError as error:
        raise InputError(
            f"the laws need {error.name}, which is not installed; `pip install 'inradius[testing]'`"
        ) from error
    hypothesis.settings.load_profile(register_profiles())
    cases = plugin_laws(name)
    if not cases:
        raise InputError(
            f"the plugin {name!r} brings nothing that has laws; allowed are plugins that register components"
        )
    # a light on a terminal, and nothing in a log
    with Console(file=sys.stderr).status("") as status:
        rows = []
        for number, (case, law) in enumerate(cases, 1):
            status.update(f"{number} of {len(cases)}: {case}, {law.__name__}")
            rows.append(Row(str(case), law.__name__, _found(case, law, examples)))
    return rows


def _found(case: "PluginCase", law: "Law", examples: int | None) -> str:
    """``holds``, or what is wrong, in one line."""
    try:
        case.check(law, examples=examples)
    except unittest.SkipTest as error:
        return SKIPPED + _line(error)
    except AssertionError as error:
        return _line(error) or f"broken: {law.__doc__}"
    except Exception as error:  # whatever a stranger's component raises, the other laws are still told
        return f"{type(error).__name__}: {_line(error)}"
    return HOLDS


def _line(error: Exception) -> str:
    return " ".join(str(error).strip().split("\n\n")[0].split())
