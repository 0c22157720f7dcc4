"""``train``: one run of a defense, from its specs to the best network."""

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
from torch import Tensor, nn

from inradius import _installed
from inradius.data import Dataset
from inradius.defense import Defense
from inradius.errors import InputError, SpecError
from inradius.modes import evaluating
from inradius.registry import make
from inradius.run import Run
from inradius.subject import check_labels, check_logits
from inradius.threat import ThreatModel
from inradius.training.augment import Shift
from inradius.training.checkpoint import write_atomic
from inradius.training.display import progress_bar
from inradius.training.processes import Processes
from inradius.training.recipe import Recipe

_FILES = ("run.json", "state.pt", "metrics.jsonl", "last.safetensors", "best.safetensors")


def train(
    defense: Defense | str,
    model: nn.Module | str,
    data: Dataset | str,
    threat: ThreatModel | str,
    *,
    folder: str | Path,
    epochs: int = 20,
    batch_size: int = 128,
    optimizer: str = "adam",
    lr: float | None = None,
    schedule: str = "cosine",
    weight_decay: float = 0.0,
    clip: float | None = None,
    validation: float = 0.1,
    augment: Shift | str | None = None,
    device: torch.device | str | None = None,
    seed: int = 0,
    progress: bool = False,
    fresh: bool = False,
) -> nn.Module:
    """The network that the defense trained: the given one, with the weights that scored best on the held-out examples.

    Any part may be a spec; a model made from one starts from weights that depend on ``seed`` alone. ``validation`` is
    the share of ``data`` that is held out to compare checkpoints. ``optimizer`` is adam, adamw or sgd, ``lr`` its first
    learning rate (None: 1e-3, for sgd 0.1) and ``schedule`` how that falls: constant, cosine, linear, steps or cyclic.
    ``clip`` bounds the gradient's norm; ``augment`` is None or ``shift(pixels=...)``. ``folder`` receives the run; the
    same call goes on where it was stopped, and ``fresh`` starts again. Equal settings give bit-equal weights on a CPU.

    Raises ``SpecError`` for a wrong setting, ``InputError`` for data, a model or a folder that cannot serve, and
    ``DivergenceError`` where the loss is no longer finite.
    """
    options: dict[str, object] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "schedule": schedule,
    }
    options |= {"weight_decay": weight_decay, "clip": clip, "validation": validation, "augment": augment, "seed": seed}
    recipe = _recipe(options if lr is None else options | {"lr": lr})
    defense, data = make(defense, Defense), make(data, Dataset)
    threat = make(threat, ThreatModel)  # type: ignore[type-abstract]
    processes = Processes(device)
    with torch.random.fork_rng([processes.device] if processes.device.type == "cuda" else []):
        torch.manual_seed(seed)
        name = model if isinstance(model, str) else type(model).__name__
        network = make(model, nn.Module).to(processes.device)
        settings = {
            "defense": defense.spec(full=True),
            "model": name,
            "weights": _digest(network.state_dict().values()),
            "data": data.name,
            "examples": _digest([data.inputs, data.labels, data.index]),
            "threat": threat.spec(full=True),
            **recipe.settings(),
        }
        _check(network, data, threat, processes)
        record = _open_folder(Path(folder), settings, processes, fresh)
        return _run(defense, network, data, threat, recipe, processes, record, Path(folder), progress)


def _run(
    defense: Defense,
    model: nn.Module,
    data: Dataset,
    threat: ThreatModel,
    recipe: Recipe,
    processes: Processes,
    record: dict[str, object],
    folder: Path,
    progress: bool,
) -> nn.Module:
    training, held_out = recipe.split(data)
    with progress_bar(progress and processes.main) as display:
        run = Run(model, defense, recipe, held_out, folder, processes, display)
        best = defense.fit(model, training, threat, run)
    if processes.main:
        result = {
            "trained_on": len(training),
            "held_out": len(held_out),
            "best_epoch": None if run.best_epoch is None else run.best_epoch + 1,
            "best_score": run.best_score,
            "last": run.history[-1] if run.history else {},
            "seconds": round(sum(line["seconds"] for line in run.history), 1),
        }
        _write_json(folder / "run.json", record | {"result": result})
    return best


def _recipe(options: dict[str, object]) -> Recipe:
    try:
        return Recipe(**options)  # type: ignore[arg-type]  # the validators answer for the types
    except (TypeError, ValueError) as error:
        raise SpecError(f"train: {error}") from error


def _check(model: nn.Module, data: Dataset, threat: ThreatModel, processes: Processes) -> None:
    if not len(data):
        raise InputError(f"{data.name} has no examples; give at least two to train on")
    check_labels(data.inputs, data.labels)
    threat.check_inputs(data.inputs)
    with evaluating(model), torch.no_grad():
        logits = model(data.inputs[:1].to(processes.device))
    check_logits(logits, 1)
    if data.classes > logits.shape[1]:
        raise InputError(
            f"label {data.classes - 1} of {data.name} is out of range; the model has the classes 0 to {logits.shape[1] - 1}"
        )


def _open_folder(folder: Path, settings: dict[str, object], processes: Processes, fresh: bool) -> dict[str, object]:
    """The record of this run, new or as an interrupted run left it; raises ``InputError`` for another run's folder."""
    path = folder / "run.json"
    record: dict[str, object] = {"settings": settings, "environment": _environment(processes), "command": _command()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if processes.main and fresh:
            for file in _FILES:
                (folder / file).unlink(missing_ok=True)
        processes.wait()
        if path.exists():
            record = json.loads(path.read_text("utf-8"))
            _check_same(record["settings"], settings, folder)
        elif processes.main:
            _write_json(path, record)
    except OSError as error:
        raise InputError(f"folder={str(folder)!r} cannot be written to ({error}); give a folder that can") from error
    processes.wait()
    return record


def _check_same(before: Any, now: dict[str, object], folder: Path) -> None:
    plain = json.loads(json.dumps(now))
    for name in sorted(before.keys() | plain.keys()):
        if before.get(name) != plain.get(name):
            raise InputError(
                f"folder={str(folder)!r} holds a run with {name}={before.get(name)!r}, not {plain.get(name)!r}; "
                "give another folder, or fresh=True to start again"
            )


def _write_json(path: Path, record: dict[str, object]) -> None:
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


def _digest(tensors: Iterable[Tensor]) -> str:
    """Sixteen hexadecimal digits that change with any of the values."""
    digest = hashlib.sha256()
    for tensor in tensors:
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{plain.dtype}{tuple(plain.shape)}".encode())
        digest.update(plain.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
