"""Packages that only some data need."""

from importlib import import_module
from typing import Any

from inradius import UnsupportedError


def load(module: str, data: str, package: str) -> Any:
    """The module, imported now. Raises ``UnsupportedError`` where it is not installed, with the command that helps."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UnsupportedError(
            f'the data {data!r} need the package {package}, which is not installed; pip install "inradius[demo]" brings it'
        ) from error
