"""The run folder: results are appended as they come, and a killed run finds them again."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from safetensors import safe_open
from safetensors.torch import save as dump_tensors
from torch import Tensor

from inradius.bracketing.lock import locked
from inradius.errors import InputError
from inradius.report.files import writable_folder, write_atomic
from inradius.report.setting import Setting

SETTING, RESULTS, DELTAS, CONTRADICTION = "run.json", "results.jsonl", "deltas", "contradiction"
Record = dict[str, Any]


@attrs.frozen
class Store:
    """A run folder, in the hands of one process at a time.

    results.jsonl has one line for each batch of each stage, on the disk before the next batch starts; deltas/ has the
    perturbations of each batch of an attack, written before the line that names them. Where a kill tore a line apart, the
    file is cut before it: what is left is what an uninterrupted run had at that moment.
    """

    folder: Path

    @classmethod
    @contextmanager
    def open(cls, folder: Path, setting: Setting, *, fresh: bool) -> "Iterator[Store]":
        """The run folder of a setting, created or found. Raises ``InputError`` where it cannot be written or holds another run."""
        with locked(writable_folder(folder)):
            store = cls(folder)
            if fresh:
                store._clear()
            store._claim(setting)
            writable_folder(folder / DELTAS)
            store._mend()
            yield store

    def _clear(self) -> None:
        """Removes what a run wrote, and nothing else."""
        patterns = (
            SETTING,
            RESULTS,
            f"{DELTAS}/*.safetensors",
            "deltas-*.safetensors",
            f"{CONTRADICTION}.*",
            "report.*",
            "robustness.*",
            "classes.csv",
            "kills.csv",
        )
        for pattern in patterns:
            for path in self.folder.glob(pattern):
                path.unlink()

    def _claim(self, setting: Setting) -> None:
        path = self.folder / SETTING
        if path.exists():
            found = _parsed(path.read_bytes())
            if found.get("key") == setting.key:
                return
            asked = json.loads(json.dumps(attrs.asdict(setting)))
            other = [name for name in asked if found.get(name) != asked[name] and name != "key"]
            raise InputError(
                f"the folder {str(self.folder)!r} holds another run (it differs in {', '.join(other)}); "
                "give another folder, or fresh=True to start again in this one"
            )
        write_atomic(path, (json.dumps(attrs.asdict(setting), indent=1) + "\n").encode())

    def append(self, record: Record) -> None:
        """Puts a record on the disk before it returns."""
        with (self.folder / RESULTS).open("ab") as file:
            file.write((json.dumps(record) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())

    def records(self) -> Iterator[Record]:
        """The records up to the first that is not whole."""
        return (record for _, record in self._whole())

    def _whole(self) -> Iterator[tuple[bytes, Record]]:
        path = self.folder / RESULTS
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
            record = _parsed(line) if line.endswith(b"\n") else {}
            if not record or ("deltas" in record and not (self.folder / record["deltas"]).exists()):
                return
            yield line, record

    def _mend(self) -> None:
        """Cuts the results before the first record that is not whole."""
        path = self.folder / RESULTS
        whole = b"".join(line for line, _ in self._whole())
        if path.exists() and path.stat().st_size != len(whole):
            write_atomic(path, whole)

    def keep_deltas(self, stage: str, rows: Sequence[int], delta: Tensor) -> str:
        """Writes a batch of perturbations (B, *S) to the disk; the name of its file in the folder."""
        name = f"{DELTAS}/{stage.replace(' ', '-')}-{rows[0]}-{rows[-1]}-{len(rows)}.safetensors"
        write_atomic(self.folder / name, dump_tensors({"delta": delta.contiguous().cpu()}))
        return name

    def delta(self, name: str, place: int) -> Tensor:
        """One perturbation (*S) of a batch that was kept."""
        with safe_open(self.folder / name, "pt") as file:
            found: Tensor = file.get_slice("delta")[place]
        return found


@attrs.frozen(eq=False)
class KeptDeltas(Mapping[int, Tensor]):
    """Perturbations (*S) by row, read from a run folder when they are asked for; places: file and place in it."""

    folder: Path
    places: Mapping[int, tuple[str, int]]

    def __getitem__(self, row: int) -> Tensor:
        return Store(self.folder).delta(*self.places[row])

    def __iter__(self) -> Iterator[int]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def _parsed(content: bytes) -> Record:
    """A record; empty where the content is none."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
