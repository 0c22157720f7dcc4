"""``inradius report``."""

from pathlib import Path
from typing import Annotated

import typer

from inradius.cli import options, summary
from inradius.report import Report


def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a run.")],
    per_class: options.PerClass = True,
) -> None:
    """A saved report in short, its page written again where it is missing."""
    found = Report.load(folder)
    if not (folder / "report.html").is_file():
        found.save(folder)
    summary.show(found, classes=per_class)
