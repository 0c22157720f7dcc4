"""Ground costs given by the user: a window around each pixel, or a table for all pairs of pixels, also from a file."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeGuard

import attrs
import numpy as np
import torch
from torch import Tensor

from inradius import InputError
from inradius.data.arrays import read_npy

Costs = tuple[tuple[float, ...], ...]

_DIGITS = 16
ALLOWED = (
    "allowed is a window of odd sides or a square table, of numbers ≥ 0 (1e999 forbids a move) with 0 for the pixel itself, "
    "as a tuple of tuples (a window) or an .npy file (either)"
)


def as_costs(value: object) -> object:
    """Costs as tuples of floats, or as a file name with the hash of the file; other values unchanged."""
    if isinstance(value, list | tuple):
        return tuple(tuple(_number(v) for v in row) if isinstance(row, list | tuple) else row for row in value)
    if isinstance(value, str) and "#" not in value and Path(value).is_file():
        return f"{value}#{_hash(value)}"
    return value


def _number(value: object) -> object:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _hash(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:_DIGITS]


def costs(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts None, a window of costs, and a file of costs whose content has not changed since the spec was written."""
    if value is None:
        return
    if isinstance(value, str):
        _check_file(field.name, value)
        return
    if not _is_window(value):
        raise ValueError(f"{field.name}={value!r} is not a window of costs; {ALLOWED}")


def _is_window(value: object) -> TypeGuard[Costs]:
    if not isinstance(value, tuple) or len(value) % 2 == 0 or not all(isinstance(row, tuple) for row in value):
        return False
    width = len(value[0])
    if width % 2 == 0 or any(len(row) != width for row in value):
        return False
    numbers = all(isinstance(v, float) and v >= 0 for row in value for v in row)
    return numbers and value[len(value) // 2][width // 2] == 0


def _check_file(name: str, value: str) -> None:
    path, _, digest = value.partition("#")
    if not Path(path).is_file():
        raise ValueError(f"{name}={value!r} names no file; {ALLOWED}")
    if digest != _hash(path):
        raise ValueError(
            f"{name}={value!r}, but {path} now has the hash {_hash(path)}; write {path!r} to take it as it is"
        )
    found = _read(value)
    if found.ndim != 2 or not _holds_costs(found):
        raise ValueError(f"{name}={value!r} holds no costs; {ALLOWED}")


def _holds_costs(found: Tensor) -> bool:
    if bool(found.isnan().any()) or bool((found < 0).any()):
        return False
    rows, columns = found.shape
    centre = rows % 2 == 1 and columns % 2 == 1 and float(found[rows // 2, columns // 2]) == 0
    return centre or (rows == columns and not bool(found.diagonal().any()))


@lru_cache(maxsize=8)
def _read(value: str) -> Tensor:
    """The numbers of a file that has the hash of the spec. Raises ``InputError`` where it has changed."""
    path, _, digest = value.partition("#")
    try:
        content = Path(path).read_bytes()
        if hashlib.sha256(content).hexdigest()[:_DIGITS] != digest:
            raise InputError(
                f"{path} is no longer the file of costs that the set was made with (#{digest}); allowed is that file, or a new "
                "set made with the file as it is"
            )
        return torch.from_numpy(read_npy(content, path).astype(np.float64))
    except InputError:
        raise
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise ValueError(f"{path} cannot be read as an .npy file of numbers: {error}") from error


def window_of(value: Costs | str, pixels: int) -> Costs | None:
    """The window of costs for images of so many pixels; None where the costs are a table of all pairs."""
    if not isinstance(value, str):
        return value
    found = _read(value)
    if found.shape == (pixels, pixels) and not bool(found.diagonal().any()):
        return None
    rows, columns = found.shape
    if rows % 2 == 0 or columns % 2 == 0 or float(found[rows // 2, columns // 2]) != 0:
        raise InputError(
            f"the costs of {value} are a table for images of {rows} pixels, but these have {pixels}; "
            "allowed are images of that size, or a window of costs"
        )
    return tuple(tuple(row) for row in found.tolist())


def table_of(value: str) -> Tensor:
    """The table of all pairs that a file holds, (n, n) in float64."""
    return _read(value)


def distances(height: int, width: int, p: float) -> Tensor:
    """‖i − j‖₂^p for all pairs of pixels, (n, n) in float64."""
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([row.flatten(), column.flatten()], 1).double()
    squares = (places[:, None] - places).square().sum(2)
    distance: Tensor = squares ** (p / 2)
    return distance


def is_symmetric(value: Costs | str) -> bool:
    """True where each move costs the same in both directions, read as a window and read as a table."""
    found = _read(value) if isinstance(value, str) else torch.tensor(value, dtype=torch.float64)
    table = isinstance(value, str) and len(found) == len(found[0]) and not bool(found.diagonal().any())
    rows, columns = found.shape
    window = rows % 2 == 1 and columns % 2 == 1 and float(found[rows // 2, columns // 2]) == 0
    return (not table or torch.equal(found, found.t())) and (not window or torch.equal(found, found.flip(0, 1)))
