"""``inradius new-plugin``."""

from pathlib import Path
from typing import Annotated

import typer

from inradius.cli import options
from inradius.cli.console import say
from inradius.plugin_kit import KINDS, write_plugin


def new_plugin(
    name: Annotated[str, typer.Argument(help="The name of the distribution, as in acme-tint.")],
    kind: Annotated[
        list[str],
        typer.Option("--kind", metavar="KIND", help=f"What it brings; repeat it for several: {', '.join(KINDS)}."),
    ],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", metavar="FOLDER", parser=options.folder, help="Where it is written.", show_default="its name"
        ),
    ] = None,
) -> None:
    """Write a plugin: an installable distribution with a working example of each kind, its laws as tests, and CI."""
    written = write_plugin(name, kind, folder)
    for path in written:
        say(str(path))
    place = next(path.parent for path in written if path.name == "pyproject.toml")
    say()
    say(f'pip install -e "{place}[test]" && inradius plugins --check {name.replace("_", "-")}')
