"""``inradius report``."""

from pathlib import Path
from typing import Annotated

import typer

from inradius.cli import curves, options, summary
from inradius.errors import InputError
from inradius.report import Report
from inradius.report.history import is_training


def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="The folder of a run; several training runs are compared.")
    ],
    per_class: options.PerClass = True,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the learning curves go, as .svg, .png or .pdf.",
            show_default="learning_curves.svg, in the run's folder where there is one run",
        ),
    ] = None,
) -> None:
    """A saved report in short, its page written again where it is missing; of training runs, the learning curves."""
    training = [folder for folder in folders if is_training(folder)]
    if training and len(training) == len(folders):
        place = folders[0] if len(folders) == 1 else Path()
        curves.show(folders, place / curves.CURVES if out is None else out)
    elif len(folders) > 1:
        other = next(folder for folder in folders if folder not in training)
        raise InputError(
            f"{str(other)!r} is no folder of a training run; several folders are compared where all of them are"
        )
    else:
        _show(folders[0], per_class=per_class)


def _show(folder: Path, *, per_class: bool) -> None:
    found = Report.load(folder)
    if not (folder / "report.html").is_file():
        found.save(folder)
    summary.show(found, classes=per_class)
