"""The record of a run: what was asked, where it ran and what came out, in ``run.json``."""

import hashlib
import json
import platform
import shlex
import shutil
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from time import gmtime, strftime
from typing import Any

import torch
from torch import Tensor

from inradius import _installed
from inradius.errors import InputError
from inradius.training.checkpoint import write_atomic
from inradius.training.processes import Processes

# the record is the last to go: a state without one would be taken for that of the next run
_FILES = (
    *("state.pt", "metrics.jsonl", "last.safetensors", "best.safetensors", "ema.safetensors", "learning_curves.svg"),
    "run.json",
)
# where monitors write
_FOLDER = "monitors"


def open_folder(
    folder: Path, settings: dict[str, object], selection: dict[str, object], processes: Processes, fresh: bool
) -> dict[str, object]:
    """The record of this run, new or as an interrupted run left it; raises ``InputError`` for another run's folder."""
    path = folder / "run.json"
    record: dict[str, object] = {
        "settings": settings,
        "selection": selection,
        "environment": _environment(processes),
        "command": _command(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if processes.main and fresh:
            _clear(folder)
        processes.wait()
        if path.exists():
            record = _known(path)
            _check_same(record["settings"], settings, folder)
        elif processes.main:
            _check_unused(folder)
            write_json(path, record)
    except OSError as error:
        raise InputError(f"folder={str(folder)!r} cannot be written to ({error}); give a folder that can") from error
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
    try:
        record: dict[str, object] = json.loads(path.read_text("utf-8"))
        if isinstance(record["settings"], dict):
            return record
    except (ValueError, TypeError, LookupError) as error:
        reason = f": {error!r}"
    else:
        reason = ""
    raise InputError(
        f"{str(path)!r} is no record of a training run{reason}; give another folder, or fresh=True to start again"
    )


def _clear(folder: Path) -> None:
    """Removes what a run wrote."""
    for place in (*folder.glob("parts/*"), folder):
        shutil.rmtree(place / _FOLDER, ignore_errors=True)
        for file in _FILES:
            (place / file).unlink(missing_ok=True)


def _check_same(before: Any, now: dict[str, object], folder: Path) -> None:
    plain = json.loads(json.dumps(now))
    for name in sorted(before.keys() | plain.keys()):
        if before.get(name) != plain.get(name):
            raise InputError(
                f"folder={str(folder)!r} holds a run with {name}={before.get(name)!r}, not {plain.get(name)!r}; "
                "give another folder, or fresh=True to start again"
            )


def write_json(path: Path, record: dict[str, object]) -> None:
    write_atomic(path, (json.dumps(record, indent=2) + "\n").encode())


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
