"""``inradius reproduce``."""

import sys
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from inradius.cli import options
from inradius.cli.console import console, is_first, say, table
from inradius.models.load import find_device
from inradius.processes import launched
from inradius.reproduction.markdown import cell
from inradius.reproduction.reproduce import JSON, MARKDOWN
from inradius.reproduction.reproduce import reproduce as reproduced
from inradius.reproduction.reproduced import Reproduced
from inradius.reproduction.table import Table

RUNS = Path("inradius-runs")


def reproduce(
    name: Annotated[
        str, typer.Argument(metavar="TABLE", help="A table by name (inradius list tables), or a file.toml.")
    ],
    scale: options.ScaleOption = "small",
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, metavar="N", help="How many trainings of each row.", show_default="the table's"),
    ] = None,
    row: Annotated[
        list[str] | None, typer.Option("--row", metavar="NAME", help="One row only; repeat it for several.")
    ] = None,
    data_folder: options.DataFolder = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device", metavar="NAME", help="Where to compute.", show_default="an accelerator where there is one"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            parser=options.folder,
            help="The folder of the trainings and of the table.",
            show_default="inradius-runs/reproduce-TABLE-SCALE",
        ),
    ] = None,
    fresh: options.Fresh = False,
) -> None:
    """Runs the rows of a paper's table, and prints its numbers beside ours; the same command goes on after a stop."""
    asked = Table.of(name, scale, data_folder)
    home = out or RUNS / f"reproduce-{asked.name}-{scale}"
    found = reproduced(
        asked,
        folder=home,
        seeds=seeds,
        rows=row,
        device=_device(device),
        fresh=fresh,
        told=_told,
    )
    _show(found)
    say(f"as JSON and Markdown  {home / JSON} {home / MARKDOWN}")


def _told(done: int, count: int, record: dict[str, Any]) -> None:
    """Says on the error output what a training came to."""
    if is_first():
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in record["values"].items())
        told = record["failed"] or numbers
        print(
            f"{done} of {count}: {record['row']}, seed {record['seed']}: {told} ({record['seconds']:.0f} s)",
            file=sys.stderr,
        )


def _show(found: Reproduced) -> None:
    names = [column.name for column in found.table.columns]
    made = table("paper / ours", *names)
    for row in found.table.rows:
        made.add_row(row.name, *(" / ".join(cell(found, row, name)) for name in names))
    say(f"{found.table.title} ({found.table.place or found.table.source})")
    console().print(made)
    differing = ", ".join(found.differences())
    if differing:
        say(f"differs from the paper in {differing}")
    for remark in found.remarks():
        say(f"- {remark}")


def _device(name: str | None) -> torch.device | None:
    """The device of that name, or an accelerator: each process that a launcher starts has one of its own."""
    if name is not None:
        return find_device(name)
    if not torch.accelerator.is_available():
        return None
    if not launched():
        return torch.accelerator.current_accelerator()
    from accelerate import PartialState

    found: torch.device = PartialState().device
    return found
