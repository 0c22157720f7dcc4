"""A result in a folder: report.json, and the perturbations in one file, read one at a time where they are many."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from inradius.bracketing.example import Attempt, Example, Verdict
from inradius.bracketing.result import BracketResult
from inradius.bracketing.setting import Setting
from inradius.bracketing.summary import summary
from inradius.errors import InputError
from inradius.stored.checksum import BLANK, FIELD, sealed
from inradius.stored.files import reading, write_atomic
from inradius.stored.listing import note
from inradius.stored.reading import check
from inradius.stored.reading import record as read_record

REPORT, FORMAT = "report.json", 1
# the files of a saved report, beside the perturbations
FILES = (
    *("examples.csv", "classes.csv", "kills.csv", "robustness.csv", "report.html", "bracket.png", "bracket.svg"),
    *("robustness.svg", REPORT),
)
# a file of at most this many bytes is read as a whole when a report is loaded
EAGER = 1 << 28

Group = Mapping[int, Tensor]
_TYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def write_tensors(folder: Path, groups: Mapping[str, Group]) -> str:
    """The name of a new safetensors file in the folder with these groups of rows; the file is whole or absent.

    The name is the hash of the content, so that a report never reads the perturbations of another report.
    """
    # gone through twice, because the checksum stands before the numbers
    head = sealed(_head(groups), _values(groups))
    name = f"deltas-{hashlib.sha256(head).hexdigest()[:12]}.safetensors"
    note(folder, name)
    write_atomic(folder / name, chain([head], _values(groups)))
    return name


def _head(groups: Mapping[str, Group]) -> bytes:
    """The start of a safetensors file: the length of its header, and the header."""
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


def read_tensors(path: Path, group: str) -> Group:
    """The rows of a group by number, (*S) each; of a large file each row is read when it is asked for."""
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
    """The rows (*S) of a group in a safetensors file, each read when it is asked for."""

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


def to_json(result: BracketResult, deltas: str) -> dict[str, Any]:
    """The result as JSON values, ``deltas`` naming the file of perturbations; numbers that are not finite are strings."""
    examples = [attrs.asdict(example) | {"status": example.status} for example in result.examples]
    record: dict[str, Any] = spelled({"format": FORMAT, "deltas": deltas, **summary(result), "table": examples})
    return record


def spelled(value: Any) -> Any:
    """Values as JSON has them: keys are strings, and numbers that are not finite are strings as well."""
    if isinstance(value, dict):
        return {str(key): spelled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [spelled(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def load(folder: Path) -> dict[str, Any]:
    """The fields of the result in a folder. Raises ``InputError`` where there is none, or a file is damaged."""
    if not (folder / REPORT).is_file():
        raise InputError(
            f"{str(folder)!r} holds no readable {REPORT} (there is none); give a folder that a report was saved to"
        )
    record = read_record(folder / REPORT)
    try:
        if record["format"] != FORMAT:
            raise InputError(f"the report in {str(folder)!r} has format {record['format']}; readable is {FORMAT}")
        check(folder / record["deltas"])
        return _fields(record, folder)
    except InputError:
        raise
    # a file without a checksum can hold anything
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError) as error:
        raise InputError(
            f"{str(folder)!r} holds no readable {REPORT} ({error!r}); give a folder that a report was saved to"
        ) from error


def _fields(record: dict[str, Any], folder: Path) -> dict[str, Any]:
    rows = {group: read_tensors(folder / record["deltas"], group) for group in ("delta", "input")}
    return {
        "setting": Setting.of(record["setting"]),
        "examples": tuple(_example(entry) for entry in record["table"]),
        "seconds": record["seconds"],
        "environment": record["environment"],
        "flags": tuple(record.get("flags", ())),
        "deltas": rows["delta"],
        "inputs": rows["input"],
        "folder": folder,
        "command": record.get("command", ""),
    }


def _example(entry: dict[str, Any]) -> Example:
    plain = {name: entry[name] for name in ("row", "index", "label", "predicted")}
    return Example(
        **plain,
        clean_margin=float(entry["clean_margin"]),
        attempts=tuple(
            Attempt(**_fields_of(Attempt, _numbers(a, "margin", "gauge", "violation"))) for a in entry["attempts"]
        ),
        verdicts=tuple(Verdict(**_fields_of(Verdict, _numbers(v, "bound", "error"))) for v in entry["verdicts"]),
    )


def _fields_of(kind: type[attrs.AttrsInstance], record: dict[str, Any]) -> dict[str, Any]:
    """The entries of a record that are fields of the class; a field without an entry has a default."""
    return {name: value for name, value in record.items() if name in attrs.fields_dict(kind)}


def _numbers(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return record | {name: float(record[name]) for name in names}
