"""The run folder: results are appended as they come, and a killed run finds them again."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from safetensors import safe_open
from torch import Tensor

from inradius.bracketing.saved import FILES
from inradius.bracketing.setting import Setting
from inradius.errors import InputError
from inradius.stored.checksum import sealed_json
from inradius.stored.files import append, reading, writable_folder, write_atomic
from inradius.stored.listing import RECORD, begin, check_own, clear, note
from inradius.stored.lock import locked
from inradius.stored.reading import check, whole_lines
from inradius.stored.reading import record as read_record
from inradius.stored.tensor_file import tensor_file

RESULTS, DELTAS, CONTRADICTION = "results.jsonl", "deltas", "contradiction"
# the files that a run writes, and figures that are drawn later, beside the files of the report
_OWN = (RESULTS, f"{CONTRADICTION}.json", f"{CONTRADICTION}.safetensors", "radii.csv", "curve/curve.svg")
Record = dict[str, Any]


@attrs.frozen
class Store:
    """A run folder, held by one process at a time.

    results.jsonl has one line for each batch of each stage, on the disk before the next batch starts; deltas/ has the
    perturbations of each batch of an attack, written before the line that names them. The file is cut before the first line
    that is incomplete or damaged; the rest is the file of an uninterrupted run at that moment.
    """

    folder: Path
    # the files of perturbations whose checksum was compared
    checked: set[str] = attrs.field(factory=set, eq=False, repr=False)

    @classmethod
    @contextmanager
    def open(cls, folder: Path, setting: Setting, *, fresh: bool) -> "Iterator[Store]":
        """The run folder of a setting, created or found. Raises ``InputError`` where it cannot be written or holds another run."""
        if fresh:
            check_own(folder)
        with locked(writable_folder(folder)):
            store = cls(folder)
            if fresh:
                clear(folder)
            store._claim(setting)
            writable_folder(folder / DELTAS)
            store._mend()
            yield store

    def _claim(self, setting: Setting) -> None:
        path = self.folder / RECORD
        if path.exists():
            found = read_record(path)
            if found.get("key") == setting.key:
                return
            asked = json.loads(json.dumps(attrs.asdict(setting)))
            other = [name for name in asked if found.get(name) != asked[name] and name != "key"]
            raise InputError(
                f"the folder {str(self.folder)!r} holds another run (it differs in {', '.join(other)}); "
                "give another folder, or fresh=True to start again in this one"
            )
        begin(self.folder, RECORD, *_OWN, *FILES)
        write_atomic(path, sealed_json(attrs.asdict(setting), indent=1))

    def append(self, record: Record) -> None:
        """Appends a record to the results; it is on the disk when this returns."""
        append(self.folder / RESULTS, sealed_json(record))

    def records(self) -> Iterator[Record]:
        """The records before the first that is incomplete or damaged."""
        return (record for _, record in self._whole())

    def _whole(self) -> Iterator[tuple[bytes, Record]]:
        path = self.folder / RESULTS
        for line, record in whole_lines(path) if path.exists() else ():
            named = [part["deltas"] for part in (record, record.get("witness", {})) if "deltas" in part]
            if not all((self.folder / name).exists() for name in named):
                return
            yield line, record

    def _mend(self) -> None:
        """Removes from the results file the first incomplete or damaged record and all behind it."""
        path = self.folder / RESULTS
        whole = b"".join(line for line, _ in self._whole())
        if path.exists() and path.stat().st_size != len(whole):
            write_atomic(path, whole)

    def keep_deltas(self, stage: str, rows: Sequence[int], delta: Tensor) -> str:
        """Writes a batch of perturbations (B, *S) to the disk, and returns the name of its file in the folder."""
        name = f"{DELTAS}/{stage.replace(' ', '-')}-{rows[0]}-{rows[-1]}-{len(rows)}.safetensors"
        note(self.folder, name)
        write_atomic(self.folder / name, tensor_file({"delta": delta}))
        return name

    def delta(self, name: str, place: int) -> Tensor:
        """One perturbation (*S) of a batch that was kept. Raises ``InputError`` where its file is damaged or gone."""
        path = self.folder / name
        if name not in self.checked:
            check(path)
            self.checked.add(name)
        with reading(path), safe_open(path, "pt") as file:
            found: Tensor = file.get_slice("delta")[place]
        return found


@attrs.frozen(eq=False)
class KeptDeltas(Mapping[int, Tensor]):
    """The perturbations (*S) of a run folder by row, read on demand. places: each row's file and its place there."""

    store: Store
    places: Mapping[int, tuple[str, int]]

    def __getitem__(self, row: int) -> Tensor:
        return self.store.delta(*self.places[row])

    def __iter__(self) -> Iterator[int]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)
