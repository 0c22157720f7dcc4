"""The record of a run in ``run.json``: its settings, its environment and its result."""

import hashlib
import json
import platform
import shlex
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from time import gmtime, strftime
from typing import Any

import torch
from torch import Tensor

from inradius.components import installed as _installed
from inradius.errors import InputError
from inradius.processes import Processes
from inradius.stored.checksum import sealed_json
from inradius.stored.files import writable_folder, write_atomic
from inradius.stored.listing import RECORD, begin, check_own, clear
from inradius.stored.reading import record as read_record
from inradius.training.state import RunState

# the figure that is drawn of a run later
_CURVES = "learning_curves.svg"


def open_folder(
    folder: Path, settings: dict[str, object], selection: dict[str, object], processes: Processes, fresh: bool
) -> dict[str, object]:
    """The record of this run, new or as an interrupted run left it; raises ``InputError`` for another run's folder.

    ``fresh`` deletes the files of the run that is there, and is refused where there are others.
    """
    path = folder / RECORD
    record: dict[str, object] = {
        "settings": settings,
        "selection": selection,
        "environment": _environment(processes),
        "command": _command(),
    }
    if fresh:
        check_own(folder)
        # nobody deletes before everybody has looked
        processes.wait()
    writable_folder(folder)
    if processes.main and fresh:
        clear(folder)
    processes.wait()
    if path.exists():
        record = _known(path)
        _check_same(record["settings"], settings, folder)
    elif processes.main:
        _check_unused(folder)
        begin(folder, RECORD, _CURVES)
        write_json(path, record)
    processes.wait()
    return record


def _check_unused(folder: Path) -> None:
    if left := [place for place in (folder, *folder.glob("parts/*")) if (place / "state.pt").exists()]:
        raise InputError(
            f"folder={str(folder)!r} holds a run without its record, {str(left[0] / 'state.pt')!r}; give another folder, or "
            "fresh=True to start again"
        )


def _known(path: Path) -> dict[str, object]:
    """The record that an interrupted run left."""
    record: dict[str, object] = read_record(path)
    if not isinstance(record.get("settings"), dict):
        raise InputError(f"{str(path)!r} is no record of a training run; give another folder")
    return record


def _check_same(before: Any, now: dict[str, object], folder: Path) -> None:
    plain = json.loads(json.dumps(now))
    for name in sorted(before.keys() | plain.keys()):
        if before.get(name) != plain.get(name):
            raise InputError(
                f"folder={str(folder)!r} holds a run with {name}={before.get(name)!r}, not {plain.get(name)!r}; "
                "give another folder, or fresh=True to start again"
            )


def result(run: RunState) -> dict[str, object]:
    """The result of a run as plain values; the last score is that of the last weights, which no epoch that was rolled back made."""
    kept = [line for line in run.history if not line.get("rolled_back")]
    best, last = run.best_score, kept[-1].get("score") if kept else None
    return {
        "best_epoch": None if run.best_epoch is None else run.best_epoch + 1,
        "best_score": best,
        "last_score": last,
        "gap": None if best is None or last is None else best - last,
        "rolled_back": [line["epoch"] for line in run.history if line.get("rolled_back")],
        "stopped": run.stopped,
        "actions": run.actions,
        "last": run.history[-1] if run.history else {},
        "seconds": round(sum(line["seconds"] for line in run.history), 1),
    }


def write_json(path: Path, record: dict[str, object]) -> None:
    write_atomic(path, sealed_json(record, indent=2))


def _environment(processes: Processes) -> dict[str, object]:
    return {
        "started": strftime("%Y-%m-%dT%H:%M:%SZ", gmtime()),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "inradius": version("inradius"),
        "torch": torch.__version__,
        "device": str(processes.device),
        "processes": processes.count,
        "threads": torch.get_num_threads(),
        "plugins": {p.name: f"{p.distribution} {p.version}" for p in _installed.host().plugins},
    }


def _command() -> str:
    # the program's folder is this machine's affair
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def digest(tensors: Iterable[Tensor]) -> str:
    """Sixteen hexadecimal digits that change with any of the values."""
    total = hashlib.sha256()
    for tensor in tensors:
        plain = tensor.detach().cpu().contiguous()
        total.update(f"{plain.dtype}{tuple(plain.shape)}".encode())
        total.update(plain.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()[:16]
