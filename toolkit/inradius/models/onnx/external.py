"""Weights that lie beside a file, in files of its own folder and nowhere else."""

import os
import stat
from pathlib import Path
from typing import Any

from inradius.errors import InputError
from inradius.models.onnx.text import text


class ExternalFiles:
    """The files in the folder of an ONNX file that hold its weights."""

    def __init__(self, file: Path) -> None:
        self._file, self._folder = file, file.parent.resolve()

    def read(self, proto: Any, needed: int) -> bytes:
        """The bytes of a tensor that is stored outside of the file, ``needed`` in number.

        Raises ``InputError`` for a path that leaves the folder, also through a link, and for a file that is too short.
        """
        what = f"the tensor {proto.name!r} in {self._file}"
        keys = {text(entry.key, what): text(entry.value, what) for entry in proto.external_data}
        path = self.inside(keys.get("location", ""), what)
        offset, length = (self._number(keys, key, what) for key in ("offset", "length"))
        size = path.stat().st_size
        start, count = offset or 0, needed if length is None else length
        if count != needed or start + count > size:
            raise InputError(
                f"{what} needs {needed} bytes, and its data are {count} from byte {start} on of {path.name}, which has {size}"
            )
        try:
            with path.open("rb") as opened:
                opened.seek(start)
                return opened.read(count)
        except (OSError, MemoryError) as error:
            raise InputError(f"{what} lies in {path.name}, of which {count} bytes cannot be read") from error

    def inside(self, location: str, what: str) -> Path:
        """The regular file of this name in the folder or below it."""
        if not location or "\0" in location or os.path.isabs(location) or "\\" in location:
            raise InputError(f"{what} lies in {location!r}; allowed is a path within the folder of the ONNX file")
        try:
            path = (self._folder / location).resolve()
            if not path.is_relative_to(self._folder):
                raise InputError(f"{what} lies in {location!r}; allowed is a path within the folder of the ONNX file")
            if not stat.S_ISREG(path.stat().st_mode):
                raise InputError(f"{what} lies in {location!r}, which is no file")
        except (OSError, RuntimeError) as error:
            raise InputError(f"{what} lies in {location!r}, which cannot be read") from error
        return path

    def _number(self, keys: dict[str, str], key: str, what: str) -> int | None:
        """The offset or length that the file states; None where it states none."""
        if key not in keys:
            return None
        if not (keys[key].isascii() and keys[key].isdigit() and len(keys[key]) < 20):
            raise InputError(f"{what} has the {key} {keys[key]!r}; allowed is a number of bytes")
        return int(keys[key])
