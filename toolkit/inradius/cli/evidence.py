"""``inradius evidence``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from inradius.cli import options
from inradius.cli.console import say
from inradius.errors import InputError
from inradius.report import Report
from inradius.report.evidence.files import JSON, PAGE
from inradius.report.evidence.record import schema as the_schema


def evidence(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="The folder of a report.")] = None,
    declare: Annotated[
        list[str] | None,
        typer.Option(
            "--declare",
            metavar="METRIC=SHARE",
            help="A declared accuracy, as in certified=0.6, attacked=0.7 or clean=0.95; repeat it for several.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            parser=options.folder,
            help="Where the files go.",
            show_default="the run's folder",
        ),
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema and nothing else.")] = False,
) -> None:
    """Evidence of a run, as JSON with a schema and as a page to print: numbers with their claims, conditions, hashes.

    Exit with 1 where a declared accuracy is not reached.
    """
    if schema:
        print(json.dumps(the_schema(), indent=2, ensure_ascii=False))
        return
    if run is None:
        raise InputError("evidence is that of a run, and none is given; give its folder, as in inradius evidence RUN")
    report = Report.load(run)
    declared = _declared(declare or ())
    place, record = report.save_evidence(run if out is None else out, declared), report.evidence(declared)
    for each in record["declared"]:
        word = "reached" if each["met"] else "not reached"
        say(f"{each['metric']} {each['value']:.4g}, declared {each['threshold']:.4g}: {word}; claim {each['claim']}")
    say(f"evidence {place / JSON}")
    say(f"page     {place / PAGE}")
    if not all(each["met"] for each in record["declared"]):
        raise typer.Exit(1)


def _declared(given: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in given:
        metric, equals, share = text.partition("=")
        if not equals or metric in found:
            raise InputError(
                f"--declare {text} is not allowed; give each metric once, with a share, as in certified=0.6"
            )
        try:
            found[metric] = float(share)
        except ValueError as error:
            raise InputError(
                f"--declare {text} has no number behind '='; allowed is a share between 0 and 1, as in certified=0.6"
            ) from error
    return found
