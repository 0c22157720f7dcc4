"""Numbers for the coordinates of an input: one for all, one for each channel or feature, or an array in a file."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from inradius.components.validators import as_float, as_floats
from inradius.data.arrays import read_npy
from inradius.errors import InputError

Numbers = float | tuple[float, ...] | str

_MARK = "#sha256="
_DIGITS = 16


def as_numbers(value: object) -> object:
    """A number as a float, a list as a tuple of floats, and a file's name with the hash of what is in it."""
    return reference(value) if isinstance(value, str) else as_float(as_floats(value))


def reference(path: str) -> str:
    """``path#sha256=...`` for a ``.npy`` file: equal references are equal arrays.

    Raises ``InputError`` for a file that is missing, is no array of finite numbers, or is not the one that a hash names.
    """
    name, _, known = path.partition(_MARK)
    found = f"{name}{_MARK}{hashlib.sha256(_bytes(name)).hexdigest()[:_DIGITS]}"
    if known and found != path:
        raise InputError(f"{name} has changed since {path!r} was written; allowed is the file with that hash")
    load(found)
    return found


def name_of(found: str) -> str:
    """The file's name in a reference."""
    return found.partition(_MARK)[0]


def numbers(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts a finite number, a tuple of them, and the reference of a file."""
    entries = value if isinstance(value, tuple) and value else (value,)
    if not isinstance(value, str) and not all(isinstance(v, float) and abs(v) < torch.inf for v in entries):
        raise ValueError(
            f"{field.alias}={value!r} is not allowed; allowed are a finite number, one for each channel or feature, "
            "and the name of a .npy file"
        )


def spread(value: Numbers, x: Tensor) -> Tensor:
    """The numbers in float64, to be broadcast with x (B, *S): a tuple runs along the first axis of S, an array has shape S.

    Raises ``InputError`` where they do not fit.
    """
    if isinstance(value, float):
        return torch.tensor(value, dtype=torch.float64)
    held = load(value) if isinstance(value, str) else torch.tensor(value, dtype=torch.float64)
    shape = tuple(x.shape[1:])
    if isinstance(value, str) and tuple(held.shape) != shape:
        raise InputError(f"{name_of(value)} has shape {tuple(held.shape)}; needed is that of an input, {shape}")
    if isinstance(value, tuple) and (not shape or len(value) != shape[0]):
        raise InputError(
            f"{len(value)} numbers were given for inputs of shape {shape}; needed is one for each of axis 0"
        )
    return held if isinstance(value, str) else held.view(-1, *(1,) * (len(shape) - 1))


@lru_cache(maxsize=32)
def load(found: str) -> Tensor:
    """The array that a reference names, in float64."""
    name = name_of(found)
    content = _bytes(name)
    if found != f"{name}{_MARK}{hashlib.sha256(content).hexdigest()[:_DIGITS]}":
        raise InputError(f"{name} has changed since {found!r} was written; allowed is the file with that hash")
    try:
        held = torch.from_numpy(np.asarray(read_npy(content, name), dtype=np.float64))
    except InputError:
        raise
    except (ValueError, TypeError, EOFError) as error:
        raise InputError(f"{name} is not an array of numbers; needed is one that numpy.save wrote") from error
    if not bool(torch.isfinite(held).all()):
        raise InputError(f"{name} has NaN or infinite values; allowed are finite numbers")
    return held


def _bytes(name: str) -> bytes:
    file = Path(name).expanduser()
    if not file.is_file():
        raise InputError(f"there is no file {name}; needed is the name of a .npy file that numpy.save wrote")
    return file.read_bytes()
