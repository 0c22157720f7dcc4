"""``train``: one run of a defense, from its specs to the best network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.errors import InputError, SpecError, reason
from inradius.models.load import find_device
from inradius.processes import Processes
from inradius.sets.threat_model import ThreatModel
from inradius.stored.files import as_folder
from inradius.stored.listing import RECORD
from inradius.training.compiling import compiled
from inradius.training.defense import Defense
from inradius.training.display import progress_bar
from inradius.training.no_set import NoSet
from inradius.training.recipe import RATES, Recipe
from inradius.training.record import digest, open_folder, write_json
from inradius.training.run import Run
from inradius.training.selection import Selection, select
from inradius.training.slots import Direction, Monitor, Regularizer, Sampler, Schedule, Transform, Update

T = TypeVar("T")


def train(
    defense: Defense | str,
    model: nn.Module | str,
    data: Dataset | str,
    threat: ThreatModel | str | None = None,
    *,
    folder: str | Path,
    epochs: int = 20,
    batch_size: int = 128,
    optimizer: str = "adam",
    lr: float | None = None,
    schedule: Schedule | str = "cosine",
    weight_decay: float = 0.0,
    clip: float | None = None,
    ema: float | None = None,
    precision: str = "float32",
    compile: bool = False,  # noqa: A002  # torch's own name for it
    validation: float | Dataset | str = 0.1,
    select_on_test: bool = False,
    transforms: Sequence[Transform | str] = (),
    sampler: Sampler | str | None = None,
    regularizers: Sequence[Regularizer | str] = (),
    direction: Direction | str | None = None,
    update: Update | str | None = None,
    radius: Schedule | str | None = None,
    monitors: Sequence[Monitor | str] = (),
    device: torch.device | str | None = None,
    seed: int = 0,
    progress: bool = False,
    fresh: bool = False,
) -> nn.Module:
    """The network that the defense trained: the given one, with the weights that scored best on the held-out examples.

    Any part may be a spec; a model made from one starts from weights that depend on ``seed`` alone. ``threat`` may be left
    out where the defense uses no set. ``validation`` compares the checkpoints: the share of ``data`` that is held out, or
    another data set. Test data are refused there unless ``select_on_test`` says that they are meant; ``run.json`` records the
    rule. ``optimizer`` is adam, adamw or sgd, ``lr`` its first learning rate (None: 1e-3, for sgd 0.1) and ``schedule`` how that
    changes: constant, cosine, linear, steps, cyclic or another one. ``clip`` bounds the gradient's norm; ``ema`` is the share of
    a moving average of the weights that a step keeps, and then that average is scored and kept; ``precision`` is that of
    training's forward passes: float32, bfloat16 (also within attacks) or float16 (attacks stay in float32, since nothing scales
    their gradients); weights, bounds and validation are in float32. ``compile`` has torch compile the network; ``device`` is by
    default the model's.

    The slots of the run: ``transforms`` change each mini-batch, ``sampler`` chooses its examples, ``radius`` is a schedule of
    the set's radius, ``regularizers`` are added to the loss, ``direction`` makes one gradient of several, ``update`` moves the
    weights, ``monitors`` watch, and may end the run or roll it back.

    ``folder`` receives the run; the same call goes on where it was stopped, and ``fresh`` starts again. Equal settings give
    bit-equal weights on a CPU. Under ``torchrun`` or ``accelerate launch`` every process calls this, and each batch is shared
    among them.

    Raises ``SpecError`` for a wrong setting, ``InputError`` for data, a model or a folder that cannot serve, and
    ``DivergenceError`` where the loss is no longer finite.
    """
    defense = make(defense, Defense)
    slots = {
        "transforms": transforms,
        "sampler": sampler,
        "regularizers": regularizers,
        "direction": direction,
        "update": update,
        "radius": radius,
        "monitors": monitors,
    }
    own = {"optimizer": None if optimizer == "adam" else optimizer, "weight_decay": weight_decay or None}
    own |= {"ema": ema, "precision": None if precision == "float32" else precision, "compile": compile or None}
    _refuse_unused(defense, {**slots, **own, "lr": lr, "clip": clip})
    chosen = _made("validation", validation, Dataset) if isinstance(validation, str | Dataset) else validation
    recipe = _recipe(
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        lr=RATES.get(optimizer) if lr is None else lr,
        schedule=_made("schedule", schedule, Schedule),
        weight_decay=weight_decay,
        clip=clip,
        ema=ema,
        precision=precision,
        compile=compile,
        # another data set leaves all of this one to train on
        validation=0.0 if isinstance(chosen, Dataset) else chosen,
        seed=seed,
        **_slots(defense, slots),
    )
    data = make(data, Dataset)
    given, place = _set(defense, threat), as_folder(folder)
    if device is not None:
        find_device(device)
    processes = Processes(device, _home(model))
    with torch.random.fork_rng([processes.device] if processes.device.type == "cuda" else []):
        torch.manual_seed(seed)
        name = model if isinstance(model, str) else type(model).__name__
        network = make(model, nn.Module).to(processes.device)
        processes.agree(network)
        if not len(data):
            raise InputError(f"{data.name} has no examples; give at least two to train on")
        classes = defense.check(network, data, given)
        selection = select(data, chosen, recipe, test_allowed=select_on_test)
        if isinstance(chosen, Dataset):
            defense.check(network, chosen, given)
        settings = {
            "model": name,
            **_settings(defense, network, data, given),
            **recipe.settings(),
            **_validation_settings(chosen),
        }
        literal = threat if isinstance(threat, str) else given.spec(full=True)
        rule = selection.record(defense.scored_by(), given, literal)
        record = open_folder(place, settings, rule, processes, fresh)
        return _run(defense, network, selection, given, recipe, processes, record, place, progress, classes)


def _run(
    defense: Defense,
    model: nn.Module,
    selection: Selection,
    threat: ThreatModel,
    recipe: Recipe,
    processes: Processes,
    record: dict[str, object],
    folder: Path,
    progress: bool,
    classes: int,
) -> nn.Module:
    inputs = selection.training.inputs[:1].to(processes.device)
    with progress_bar(progress and processes.main) as display, compiled(model, recipe.compile, inputs):
        run = Run(model, defense, recipe, selection.held_out, folder, processes, display)
        run.classes = classes
        best = defense.fit(model, selection.training, threat, run)
    if processes.main:
        examples = {"trained_on": len(selection.training), "held_out": len(selection.held_out)}
        write_json(folder / RECORD, record | {"result": examples | _result(run)})
    return best


def _result(run: Run) -> dict[str, object]:
    """How a run ended; the last score is that of the last weights, which no epoch that was rolled back made."""
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


def _home(model: nn.Module | str) -> torch.device:
    """Where the model is; the CPU where it is yet to be made or has no parameters."""
    if not isinstance(model, str | nn.Module):
        raise SpecError(f"the model is {type(model).__name__}; allowed are a torch Module and the spec of one")
    parameters = iter(()) if isinstance(model, str) else model.parameters()
    return next((parameter.device for parameter in parameters), torch.device("cpu"))


def _recipe(**options: Any) -> Recipe:
    try:
        return Recipe(**options)
    except (TypeError, ValueError) as error:
        raise SpecError(f"train: {reason(error)}") from error


_KINDS: dict[str, type] = {
    "transforms": Transform,
    "sampler": Sampler,
    "regularizers": Regularizer,
    "direction": Direction,
    "update": Update,
    "radius": Schedule,
    "monitors": Monitor,
}
# those that hold any number of parts
_SEVERAL = ("transforms", "regularizers", "monitors")


def _set(defense: Defense, threat: ThreatModel | str | None) -> ThreatModel:
    """The set; that of no perturbation where the defense needs none. Raises ``SpecError`` where it needs one."""
    if threat is not None:
        return make(threat, ThreatModel)
    if defense.needs_set:
        raise SpecError(
            f"no set of perturbations is given, and {defense} needs one; give a threat, as in linf(eps=0.1)"
        )
    return NoSet()


def _asked(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value not in (None, ()) and value != []}


def _refuse_unused(defense: Defense, given: dict[str, Any]) -> None:
    """Raises ``SpecError`` for an option that the defense has no place for."""
    if lost := sorted(_asked(given).keys() & defense.unused_slots()):
        raise SpecError(
            f"{lost[0]}={given[lost[0]]!r} has no place in {defense}, which makes its own steps; allowed are "
            f"{', '.join(sorted(given.keys() - defense.unused_slots())) or 'no slots'}"
        )


def _made(name: str, value: Any, kind: type[T]) -> T:
    """What an option is given as, or made of; raises ``SpecError`` that names the option."""
    try:
        made: T = make(value, kind)
    except SpecError as error:
        raise SpecError(f"{name}={value!r}: {error}") from error
    return made


def _slots(defense: Defense, given: dict[str, Any]) -> dict[str, Any]:
    """The components of the slots that were asked for, by the caller or by the defense."""
    found: dict[str, Any] = {}
    for name, value in {**defense.slots(), **_asked(given)}.items():
        if name in _SEVERAL:
            # one alone is a list of one
            parts = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
            found[name] = tuple(_made(name, part, _KINDS[name]) for part in parts)
        else:
            found[name] = _made(name, value, _KINDS[name])
    return found


def _settings(defense: Defense, model: nn.Module, data: Dataset, threat: ThreatModel) -> dict[str, object]:
    """What two runs must share to be the same run, beside the recipe."""
    return {
        "defense": defense.spec(full=True),
        "weights": digest(model.state_dict().values()),
        "data": data.name,
        "examples": digest([data.inputs, data.labels, data.index]),
        "threat": threat.spec(full=True),
    }


def _validation_settings(chosen: float | Dataset) -> dict[str, object]:
    """What compares the checkpoints, where it is a data set of its own."""
    if not isinstance(chosen, Dataset):
        return {}
    return {"validation": chosen.name, "validation_examples": digest([chosen.inputs, chosen.labels, chosen.index])}
