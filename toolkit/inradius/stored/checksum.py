"""Checksums in files: the one way in which everything that is stored is checked when it is read.

A file, and each line of a file of lines, holds the entry ``"inradius_sha256": "..."``: the SHA-256 of all its bytes, with these
64 digits read as zeros. JSON has it as a key, safetensors among their metadata, a torch file as the comment of its archive. So
other programs read the files as before, and what has no such entry (another program's, an older version's) is not checked.
"""

import hashlib
import io
import json
import mmap
import re
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

FIELD = "inradius_sha256"
BLANK = "0" * 64

_ENTRY = re.compile(rb'"inradius_sha256": ?"(.{64})"', re.DOTALL)


def sealed(content: bytes, rest: Iterable[bytes] = ()) -> bytes:
    """The content with the digits of its first entry, which are those of ``BLANK``, filled in.

    The checksum is that of the content and of the ``rest``, which the file goes on with.
    """
    found = _ENTRY.search(content)
    assert found is not None
    total = hashlib.sha256(content)
    for piece in rest:
        total.update(piece)
    return content[: found.start(1)] + total.hexdigest().encode() + content[found.end(1) :]


def sealed_json(record: Mapping[str, Any], indent: int | None = None) -> bytes:
    """A record as JSON, with the end of its last line; one line in all without ``indent``."""
    return sealed((json.dumps({**record, FIELD: BLANK}, indent=indent) + "\n").encode())


def sealed_archive(content: bytes) -> bytes:
    """A zip archive, such as ``torch.save`` writes."""
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = json.dumps({FIELD: BLANK}).encode()
    return sealed(buffer.getvalue())


def intact(content: bytes | mmap.mmap) -> bool | None:
    """Whether the content has the checksum that it carries; None where it carries none."""
    found = _ENTRY.search(content)
    if found is None:
        return None
    with memoryview(content) as view, view[: found.start(1)] as before, view[found.end(1) :] as after:
        total = hashlib.sha256(before)
        total.update(BLANK.encode())
        total.update(after)
    return found[1] == total.hexdigest().encode()
