"""The text of a file, plain or compressed, up to a stated size."""

import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from inradius.errors import InputError

# the most that a file may hold or unpack to, in bytes; a box of 150,528 inputs, an image of 224 × 224 pixels, takes 17 MB
LIMIT = 1 << 26

_OPENERS: dict[str, Callable[[Path, str], Any]] = {".gz": gzip.open, ".xz": lzma.open}


def text_of(path: Path) -> str:
    """The text of a file in UTF-8; names that end in ``.gz`` and ``.xz`` are unpacked.

    Raises ``InputError`` for a file that is missing or damaged, for one that holds or unpacks to more than 64 MiB, and for
    one that is not text.
    """
    content = bytes_of(path)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path} is not text in line {line} ({error.reason}); allowed is UTF-8") from error


def bytes_of(path: Path) -> bytes:
    """The content of a file, unpacked where its name ends in ``.gz`` or ``.xz``. Raises ``InputError`` as ``text_of`` does."""
    opener = _OPENERS.get(path.suffix)
    try:
        with path.open("rb") if opener is None else opener(path, "rb") as file:
            return _limited(file, path)
    except (gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError) as error:
        raise InputError(f"{path} cannot be unpacked ({error}); allowed is a whole {path.suffix} file") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); allowed is a file that can be") from error


def _limited(file: IO[bytes], path: Path) -> bytes:
    content = file.read(LIMIT + 1)
    if len(content) > LIMIT:
        unpacks = "unpacks to" if path.suffix in _OPENERS else "holds"
        raise InputError(f"{path} {unpacks} more than {LIMIT >> 20} MiB; allowed is at most that")
    return content
