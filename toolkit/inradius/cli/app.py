"""The program and its commands."""

from collections.abc import Callable
from typing import Annotated

import typer

from inradius._version import __version__
from inradius.cli.attack import attack
from inradius.cli.bracket import bracket
from inradius.cli.certify import certify
from inradius.cli.check_model import check_model
from inradius.cli.compare import compare
from inradius.cli.describe import describe
from inradius.cli.detect import detect
from inradius.cli.evidence import evidence
from inradius.cli.names import list_names
from inradius.cli.new_plugin import new_plugin
from inradius.cli.pareto import pareto
from inradius.cli.plugins import plugins
from inradius.cli.report import report
from inradius.cli.reproduce import reproduce
from inradius.cli.train import train
from inradius.cli.verify import verify

COMMANDS: dict[str, Callable[..., None]] = {
    "bracket": bracket,
    "attack": attack,
    "certify": certify,
    "detect": detect,
    "verify": verify,
    "train": train,
    "reproduce": reproduce,
    "pareto": pareto,
    "compare": compare,
    "evidence": evidence,
    "check-model": check_model,
    "list": list_names,
    "describe": describe,
    "plugins": plugins,
    "new-plugin": new_plugin,
    "report": report,
}

app = typer.Typer(
    help="Attacks and certificates on the same set, reported as one bracket.",
    # an error that is not one of ours is a bug, and its plain traceback is what a report of it needs
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def program(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, help="Print the version.", callback=lambda asked: _version(asked)),
    ] = False,
) -> None:
    """Attacks and certificates on the same set, reported as one bracket."""


def _version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


for name, command in COMMANDS.items():
    app.command(name)(command)
