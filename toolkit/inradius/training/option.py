"""The description of an option of ``train`` for the command line and the documentation."""

from typing import Any

import attrs

# the groups of options
OPTIMISATION = "How the weights move"
SELECTION = "What compares the checkpoints"
SLOTS = "The slots of the run"


@attrs.frozen
class Option:
    """The help text of an option, the word for its value, its group, its name and its default in words.

    An empty name is that of the field. A default of None is the field's own.
    """

    help: str
    metavar: str | None = None
    group: str | None = None
    flag: str = ""
    default: str | None = None


def option(help: str, metavar: str | None = None, **more: Any) -> dict[str, Option]:  # noqa: A002  # typer's own name for it
    """The metadata of a field that is an option of ``train``."""
    return {"option": Option(help, metavar, **more)}


def option_of(field: "attrs.Attribute[Any]") -> Option:
    """The option that a field's metadata describe."""
    found: Option = field.metadata["option"]
    return found
