"""One process at a time in a run folder."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inradius.errors import InputError
from inradius.stored.files import writing
from inradius.stored.listing import LOCK


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder held by this process; the system lets go of it when the process ends, however it ends.

    Raises ``InputError`` where another process holds it. Does nothing on Windows, which has no such lock.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with writing(folder / LOCK):
        file = (folder / LOCK).open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"another process is at work in the folder {str(folder)!r}; wait for it, or give another folder"
            ) from error
        yield
