"""``train``: one run of a defense, from its specs to the best network."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from inradius.data import Dataset
from inradius.defense import Defense
from inradius.errors import InputError, SpecError
from inradius.modes import evaluating
from inradius.registry import make
from inradius.run import Run
from inradius.subject import check_labels, check_logits
from inradius.threat import ThreatModel
from inradius.training.augment import Shift
from inradius.training.display import progress_bar
from inradius.training.processes import Processes
from inradius.training.recipe import RATES, Recipe
from inradius.training.record import digest, open_folder, write_json


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
    ``clip`` bounds the gradient's norm; ``augment`` is None or ``shift(pixels=...)``; ``device`` is by default the
    model's. ``folder`` receives the run; the same call goes on where it was stopped, and ``fresh`` starts again. Equal
    settings give bit-equal weights on a CPU. Under ``torchrun`` or ``accelerate launch`` every process calls this, and
    each batch is shared among them.

    Raises ``SpecError`` for a wrong setting, ``InputError`` for data, a model or a folder that cannot serve, and
    ``DivergenceError`` where the loss is no longer finite.
    """
    recipe = _recipe(
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        lr=RATES.get(optimizer) if lr is None else lr,
        schedule=schedule,
        weight_decay=weight_decay,
        clip=clip,
        validation=validation,
        augment=augment,
        seed=seed,
    )
    defense, data = make(defense, Defense), make(data, Dataset)
    threat = make(threat, ThreatModel)
    processes = Processes(device, _home(model))
    with torch.random.fork_rng([processes.device] if processes.device.type == "cuda" else []):
        torch.manual_seed(seed)
        name = model if isinstance(model, str) else type(model).__name__
        network = make(model, nn.Module).to(processes.device)
        processes.agree(network)
        _check(network, data, threat, processes)
        settings = {"model": name, **_settings(defense, network, data, threat), **recipe.settings()}
        record = open_folder(Path(folder), settings, processes, fresh)
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
        write_json(folder / "run.json", record | {"result": result})
    return best


def _home(model: nn.Module | str) -> torch.device:
    """Where the model is; the CPU where it is yet to be made or has no parameters."""
    parameters = iter(()) if isinstance(model, str) else model.parameters()
    return next((parameter.device for parameter in parameters), torch.device("cpu"))


def _recipe(**options: Any) -> Recipe:
    try:
        return Recipe(**options)
    except (TypeError, ValueError) as error:
        raise SpecError(f"train: {error}") from error


def _settings(defense: Defense, model: nn.Module, data: Dataset, threat: ThreatModel) -> dict[str, object]:
    """What two runs must share to be the same run, beside the recipe."""
    return {
        "defense": defense.spec(full=True),
        "weights": digest(model.state_dict().values()),
        "data": data.name,
        "examples": digest([data.inputs, data.labels, data.index]),
        "threat": threat.spec(full=True),
    }


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
