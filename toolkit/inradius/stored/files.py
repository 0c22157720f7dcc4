"""Files that are complete or absent, even where the writer is killed."""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from inradius.errors import InputError, StorageError

_REMEDY = "put a copy of it in its place, or make it again (a run: in another folder, or with fresh=True, --fresh)"

# the folder of the runs that are given none
RUNS: ContextVar[Path] = ContextVar("runs", default=Path("inradius-runs"))


def write_atomic(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Writes a file in one step: under a temporary name, to the disk, renamed, and the folder's names to the disk.

    The content may come in pieces. Raises ``StorageError`` where the disk is full or the folder is gone.
    """
    if not path.name:
        raise StorageError(f"{str(path)!r} is a folder; give the name of a file")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            with temporary.open("wb") as file:
                file.writelines([content] if isinstance(content, bytes) else content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            # the rest of the file would keep a full disk full
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def append(path: Path, content: bytes) -> None:
    """Appends content to a file, and puts it on the disk before it returns. Raises ``StorageError`` where it cannot."""
    with writing(path), path.open("ab") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A block in which an error of the system about writing a file becomes a ``StorageError`` of one sentence."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"{str(path)!r} cannot be written ({error.strerror or error}); make room on the disk, or give a folder that "
            "exists and may be written"
        ) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """A block in which an error of the system about reading a file becomes an ``InputError`` of one sentence."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read ({error.strerror or error}); {_REMEDY}") from error


def damaged(path: Path, what: str, place: str = "") -> InputError:
    """The error for a file whose content has changed since it was written; ``place`` names the position."""
    return InputError(f"{str(path)!r} is damaged{place}: {what}; {_REMEDY}")


def sync_folder(folder: Path) -> None:
    """Puts the names in a folder on the disk, where the system can (not on Windows)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def as_folder(given: object) -> Path:
    """The path of a folder as given. Raises ``InputError`` for a value that is not a path, and for an empty path."""
    if not isinstance(given, str | os.PathLike):
        raise InputError(f"folder={given!r} is {type(given).__name__}; allowed is a path")
    if not os.fspath(given):
        raise InputError("folder='' names no folder; give the path of one, '.' for the current folder")
    return Path(given)


def writable_folder(folder: Path) -> Path:
    """The folder, created if needed. Raises ``InputError`` where no file can be written there."""
    probe = folder / f".probe.{os.getpid()}.{threading.get_ident()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"the folder {str(folder)!r} cannot be written ({error.strerror}); give one where you may create files"
        ) from error
    return folder
