"""Perturbations and images in one file, written and read one at a time, so that they need not fit in memory together."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors import safe_open
from torch import Tensor

from inradius.stored.checksum import BLANK, FIELD, sealed
from inradius.stored.files import reading, write_atomic
from inradius.stored.listing import note

Group = Mapping[int, Tensor]

# what is read at once when a report is loaded; larger files are read as perturbations are asked for
EAGER = 1 << 28

_TYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def write(folder: Path, groups: Mapping[str, Group]) -> str:
    """The name of a safetensors file of groups of rows, in the folder, whole or absent.

    It is named by its content: a report never takes the perturbations of another one for its own.
    """
    # gone through twice, because the checksum stands before the numbers
    head = sealed(_head(groups), _values(groups))
    name = f"deltas-{hashlib.sha256(head).hexdigest()[:12]}.safetensors"
    note(folder, name)
    write_atomic(folder / name, chain([head], _values(groups)))
    return name


def _head(groups: Mapping[str, Group]) -> bytes:
    """What a safetensors file begins with: the length of its header, and the header."""
    header: dict[str, Any] = {"__metadata__": {FIELD: BLANK}}
    end = 0
    for name, value in _named(groups):
        size = value.numel() * value.element_size()
        header[name] = {"dtype": _TYPES[value.dtype], "shape": list(value.shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _values(groups: Mapping[str, Group]) -> Iterator[bytes]:
    for _, value in _named(groups):
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _named(groups: Mapping[str, Group]) -> Iterator[tuple[str, Tensor]]:
    return ((f"{group}/{row}", rows[row]) for group, rows in groups.items() for row in rows)


def read(path: Path, group: str) -> Group:
    """The rows of a group; those of a large file are read when they are asked for."""
    with safe_open(path, "pt") as file:
        rows = {int(row): name for name in file.keys() if (row := _row(name, group)) is not None}  # noqa: SIM118
        if path.stat().st_size <= EAGER:
            return {row: file.get_tensor(name) for row, name in sorted(rows.items())}
    return FileRows(path, group, frozenset(rows))


def _row(name: str, group: str) -> str | None:
    found, _, row = name.partition("/")
    return row if found == group else None


@attrs.frozen(eq=False)
class FileRows(Mapping[int, Tensor]):
    """The rows of a group in a safetensors file, each read when it is asked for."""

    path: Path
    group: str
    rows: frozenset[int]

    def __getitem__(self, row: int) -> Tensor:
        if row not in self.rows:
            raise KeyError(row)
        with reading(self.path), safe_open(self.path, "pt") as file:
            found: Tensor = file.get_tensor(f"{self.group}/{row}")
        return found

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self.rows))

    def __len__(self) -> int:
        return len(self.rows)
