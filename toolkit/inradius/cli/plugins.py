"""``inradius plugins``."""

from typing import Annotated

import typer

from inradius.cli.console import console, table
from inradius.cli.plugin_check import check_plugin
from inradius.components.plugins import Plugin, installed


def plugins(
    check: Annotated[
        str | None,
        typer.Option(
            "--check",
            metavar="NAME",
            help="Check the laws of everything that a plugin brings, by name or distribution.",
        ),
    ] = None,
    examples: Annotated[
        int | None,
        typer.Option(
            "--examples", min=1, metavar="N", help="How many cases for each law.", show_default="that of the profile"
        ),
    ] = None,
) -> None:
    """The installed plugins and their status; exits with 1 where one could not be loaded, or breaks a law."""
    if check is not None:
        if not check_plugin(check, examples=examples):
            raise typer.Exit(1)
        return
    made = table("plugin", "distribution", "version", "module", "status")
    for plugin in installed():
        made.add_row(plugin.name, plugin.distribution, plugin.version, plugin.value, _status(plugin))
    console().print(made)
    if any(plugin.failure for plugin in installed()):
        raise typer.Exit(1)


def _status(plugin: Plugin) -> str:
    if plugin.blocked:
        return "blocked by INRADIUS_DISABLE_PLUGINS"
    return f"failed: {plugin.failure}" if plugin.failure else "ok"
