"""The output of the program: tables and lines, in which nothing is read as markup."""

import io
import os
import sys
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console
from rich.table import Table

# the width of a table where the output is no terminal, as in a log
UNWATCHED_WIDTH = 120


def is_first() -> bool:
    """True for the only process, and for the first of several that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def console() -> Console:
    """A console on the current standard output; of several processes that a launcher started only the first one prints."""
    out = sys.stdout if is_first() else io.StringIO()
    width = None if out.isatty() else UNWATCHED_WIDTH
    return Console(file=out, markup=False, highlight=False, emoji=False, width=width)


def waiting(what: str) -> AbstractContextManager[object]:
    """A line with a moving sign while the block runs, on a terminal; nothing elsewhere."""
    on = console()
    return on.status(what) if on.is_terminal else nullcontext()


def say(line: str = "") -> None:
    """Prints a line as it is; a terminal may wrap it, nothing breaks it."""
    console().print(line, soft_wrap=True)


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """A table with these columns, some aligned to the right; long cells fold, because a cut spec is no spec."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made
