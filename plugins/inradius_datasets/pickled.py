"""A reader of pickled arrays that runs no code of the file."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from inradius import InputError


def _text_as_bytes(text: str, encoding: str) -> bytes:
    """The bytes of a text as old protocols write them; any other codec is refused."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"the codec {encoding!r} is not needed for arrays")
    return text.encode("latin1")


# the functions that numpy names in a pickle of an array, under the module names of its versions 1 and 2
_RECONSTRUCT: Any = np.empty(0).__reduce__()[0]
_FROM_BUFFER: Any = np.empty(0).__reduce_ex__(5)[0]
_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): _FROM_BUFFER,
    ("numpy._core.numeric", "_frombuffer"): _FROM_BUFFER,
    ("_codecs", "encode"): _text_as_bytes,
}

# a damaged pickle may fail in any opcode
_DAMAGE = (ValueError, TypeError, AttributeError, EOFError, LookupError, OverflowError, MemoryError)


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that builds arrays and their parts and nothing else."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")
        return _ALLOWED[module_name, global_name]


def read(file: Path) -> Any:
    """The object in the file, made of arrays and Python's own containers, with strings as bytes.

    Raises ``InputError`` where the file is damaged or names anything else.
    """
    with file.open("rb") as stream:
        try:
            return _ArraysOnly(stream, encoding="bytes").load()
        except (pickle.UnpicklingError, *_DAMAGE) as error:
            raise InputError(f"{file} is not a pickle of plain arrays ({error}); nothing in it was run") from error
