"""Errors as sentences, warnings as lines, and both as exit codes."""

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, TextIO

import typer

from inradius.errors import InradiusError

FAILED, STOPPED = 2, 130
# the parent of all errors in the command line; its package differs between versions of typer
UsageError: Any = typer.BadParameter.__base__


def guarded(command: Callable[[], object]) -> int:
    """Runs a command and returns its exit code; errors that are not a bug become one sentence on stderr."""
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            result = command()
        except KeyboardInterrupt:
            return _stopped()
        except UsageError as error:
            return _failed(_usage(error))
        except InradiusError as error:
            return _failed(str(error))
        except OSError as error:
            return _failed(_describe(error))
    # typer hands back the code of an early end, 130 for an interrupt, and otherwise what the command returned
    return _stopped() if result == STOPPED else result if isinstance(result, int) else 0


def _stopped() -> int:
    print("stopped; the same command goes on where this one was", file=sys.stderr)
    return STOPPED


def _usage(error: Any) -> str:
    """A sentence on an error in the command line, with the command that lists the options."""
    program = error.ctx.command_path if error.ctx is not None else "inradius"
    return f"{error.format_message().rstrip('.')}; `{program} --help` lists what is allowed"


def _failed(sentence: str) -> int:
    print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
    return FAILED


def _describe(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    place = f"{os.fspath(error.filename)!r} cannot be used: " if isinstance(error.filename, str | os.PathLike) else ""
    return place + reason


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=file or sys.stderr)
