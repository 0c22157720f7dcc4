"""Folders that one process holds at a time."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inradius.errors import InputError
from inradius.stored.files import writing
from inradius.stored.listing import LOCK


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder for this process; the system releases it when the process ends, also when it is killed.

    Raises ``InputError`` where another process holds it. Does nothing on Windows, which has no such lock.
    """
    with claimed(folder) as held:
        if not held:
            raise InputError(
                f"another process is at work in the folder {str(folder)!r}; wait for it, or give another folder"
            )
        yield


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Holds the folder within the block, and gives True; gives False where another process holds it."""
    if sys.platform == "win32":
        yield True
        return
    import fcntl

    with writing(folder / LOCK):
        file = (folder / LOCK).open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
