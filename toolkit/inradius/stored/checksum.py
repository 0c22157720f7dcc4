"""Checksums in files, which every stored file is checked with when it is read.

A file, and each line of a file of lines, holds the entry ``"inradius_sha256": "..."``: the SHA-256 of all its bytes,
with these 64 digits read as zeros. It is a key in JSON, metadata in safetensors, and the comment of the archive in a
torch file. Other programs therefore read the files as usual. Files without such an entry, from other programs or older
versions, are not checked.
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
    """The content with the digits of its first entry filled in; before, they are those of ``BLANK``.

    The checksum covers the content and the ``rest``, which follows it in the file.
    """
    found = _ENTRY.search(content)
    assert found is not None
    total = hashlib.sha256(content)
    for piece in rest:
        total.update(piece)
    return content[: found.start(1)] + total.hexdigest().encode() + content[found.end(1) :]


def sealed_json(record: Mapping[str, Any], indent: int | None = None) -> bytes:
    """A record as JSON with a final line end; without ``indent`` it is one line."""
    return sealed((json.dumps({**record, FIELD: BLANK}, indent=indent) + "\n").encode())


def sealed_archive(content: bytes) -> bytes:
    """A zip archive, as ``torch.save`` writes it, with its checksum."""
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = json.dumps({FIELD: BLANK}).encode()
    return sealed(buffer.getvalue())


def intact(content: bytes | mmap.mmap) -> bool | None:
    """True where the content matches its checksum, False where it does not, None where it has none."""
    found = _ENTRY.search(content)
    if found is None:
        return None
    with memoryview(content) as view, view[: found.start(1)] as before, view[found.end(1) :] as after:
        total = hashlib.sha256(before)
        total.update(BLANK.encode())
        total.update(after)
    return found[1] == total.hexdigest().encode()
