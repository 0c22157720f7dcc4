"""The installed plugins, and the errors of those that failed to load."""

from inradius.components.installed import Plugin as Plugin
from inradius.components.installed import host


def installed() -> tuple[Plugin, ...]:
    """Every plugin that was found, by name, also those that are blocked or failed to load."""
    return host().plugins
