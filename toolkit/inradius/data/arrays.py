"""Arrays in numpy's files, checked before memory is taken for them."""

import io
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from inradius.errors import InputError
from inradius.stored.files import reading

Array = np.ndarray[Any, Any]

# deflate makes its data at most 1032 times as long
_STRETCH = 1100
# what numpy and zipfile say of other files; an encrypted one is a RuntimeError
_DAMAGE = (ValueError, AttributeError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def read_npy(content: bytes, name: object) -> Array:
    """The array of an ``.npy`` file with this content. Raises ``InputError`` for one that announces more than it holds.

    Raises ``ValueError`` or ``EOFError`` for what is no such file.
    """
    stream = io.BytesIO(content)
    _check_header(stream, len(content), name)
    array: Array = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def read_npz(file: Path) -> Mapping[str, Array]:
    """The arrays of an ``.npz`` file by their names; pickled objects, which could run code, are not read.

    Raises ``InputError`` for a file that is missing, is no such archive, or announces more numbers than it holds.
    """
    if not file.is_file():
        raise InputError(f"there is no file {file}; npz needs an archive that numpy.savez wrote")
    try:
        with reading(file), zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                _check_member(archive, member, file)
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(f"{file} is not an archive of plain arrays; npz needs one that numpy.savez wrote") from error


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: Path) -> None:
    if member.file_size > _STRETCH * (member.compress_size + 1):
        raise InputError(
            f"{file} announces {member.file_size} bytes for {member.filename} and holds fewer; is it cut off?"
        )
    if member.filename.endswith(".npy"):
        with archive.open(member) as stream:
            _check_header(stream, member.file_size, f"{file} ({member.filename})")


def _check_header(stream: IO[bytes], size: int, name: object) -> None:
    """Raises ``InputError`` where a header announces more bytes than there are."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(stream)
    needed, held = math.prod(shape) * kind.itemsize, size - stream.tell()
    # the entries of an array of objects are pickled, and refused when they are read
    if needed > held and not kind.hasobject:
        raise InputError(f"{name} announces numbers of shape {shape} and holds {held} bytes of them; is it cut off?")
