"""``inradius compare``."""

from pathlib import Path
from typing import Annotated

import typer

from inradius.cli.console import say
from inradius.report import Report
from inradius.report.comparison import compare as changes
from inradius.report.comparison import to_markdown


def compare(
    before: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of the earlier report.")],
    after: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of the later report.")],
    fail_under_p: Annotated[
        float | None,
        typer.Option(
            "--fail-below",
            min=0,
            max=1,
            metavar="P",
            help="Exit with 1 where an accuracy fell with a p-value of at most P.",
        ),
    ] = None,
) -> None:
    """Compare two reports on the same examples: which became more or less robust, as Markdown with a paired test."""
    one, other = Report.load(before), Report.load(after)
    say(to_markdown(one, other))
    if fail_under_p is not None and any(
        each.after < each.before and each.p <= fail_under_p for each in changes(one, other)
    ):
        raise typer.Exit(1)
