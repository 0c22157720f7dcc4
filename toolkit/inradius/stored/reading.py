"""Reading stored files: they are checked first, and a damaged one gives one sentence."""

import json
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inradius.errors import InputError
from inradius.stored.checksum import FIELD, intact
from inradius.stored.files import damaged, reading
from inradius.stored.listing import is_listed

Record = dict[str, Any]


def check(path: Path, *, ours: bool = False) -> None:
    """Raises ``InputError`` where a file differs from what was written; call it before the file is read.

    The file is checked piece by piece, so it need not fit in memory. A file without a checksum passes, unless a run
    lists it as its own, because that run has written a checksum, or it is ``ours``, a kind of file that only inradius writes.
    """
    with reading(path), path.open("rb") as file:
        # an empty file cannot be mapped
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if file.seek(0, 2) else b""
        state = intact(content)
        if isinstance(content, mmap.mmap):
            content.close()
    _demand(path, state, "", ours=ours)


def record(path: Path, *, ours: bool = False) -> Record:
    """The record in a JSON file, without its checksum. Raises ``InputError`` for a file that is damaged or holds no record.

    ``ours`` is that of ``check``.
    """
    check(path, ours=ours)
    return _parsed(path, path.read_bytes(), "")


def records(path: Path) -> list[Record]:
    """The record of each line of a file. Raises ``InputError`` where a line is damaged."""
    return [_line(path, number, line) for number, line in enumerate(_lines(path), 1)]


def whole_lines(path: Path) -> Iterator[tuple[bytes, Record]]:
    """The lines of a file that is appended to, each with its record, up to the first line that is torn or damaged."""
    for number, line in enumerate(_lines(path), 1):
        try:
            record = _line(path, number, line)
        except InputError:
            return
        if line.endswith(b"\n"):
            yield line, record


def _lines(path: Path) -> list[bytes]:
    with reading(path):
        *whole, last = path.read_bytes().split(b"\n")
    return [line + b"\n" for line in whole] + ([last] if last else [])


def _line(path: Path, number: int, line: bytes) -> Record:
    place = f" in line {number}"
    _demand(path, intact(line), place)
    return _parsed(path, line, place)


def _demand(path: Path, state: bool | None, place: str, *, ours: bool = False) -> None:
    if state is False:
        raise damaged(path, "it does not have the checksum that it was written with", place)
    if state is None and (ours or is_listed(path)):
        raise damaged(path, "the checksum is missing that its run wrote", place)


def _parsed(path: Path, content: bytes, place: str) -> Record:
    try:
        found = json.loads(content)
    except ValueError as error:
        raise damaged(path, f"it is not JSON ({error})", place) from error
    if not isinstance(found, dict):
        raise damaged(path, f"it is {type(found).__name__} and not a record", place)
    found.pop(FIELD, None)
    return found
