"""``inradius plugins``."""

import typer

from inradius.cli.console import console, table
from inradius.components.plugins import Plugin, installed


def plugins() -> None:
    """The installed plugins and their status; exits with 1 where one could not be loaded."""
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
