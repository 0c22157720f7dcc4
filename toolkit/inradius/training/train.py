"""``train``: one run of a defense, from its specs to the best network."""

from pathlib import Path
from typing import Any

import attrs
import torch
from torch import nn

from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.errors import InputError, SpecError
from inradius.models.load import find_device
from inradius.processes import Processes
from inradius.sets.threat_model import ThreatModel
from inradius.stored.files import as_folder
from inradius.stored.listing import RECORD
from inradius.training.compiling import compiled
from inradius.training.defense import Defense
from inradius.training.display import progress_bar
from inradius.training.no_set import NoSet
from inradius.training.options import FIELDS, made, parameters, recipe_of, spread
from inradius.training.recipe import Recipe
from inradius.training.record import digest, open_folder, result, write_json
from inradius.training.run import Run
from inradius.training.selection import Selection, select


@spread(parameters())
def train(
    defense: Defense | str,
    model: nn.Module | str,
    data: Dataset | str,
    threat: ThreatModel | str | None = None,
    *,
    folder: str | Path,
    device: torch.device | str | None = None,
    select_on_test: bool = False,
    progress: bool = False,
    fresh: bool = False,
    **options: Any,
) -> nn.Module:
    """The network that the defense trained: the given one, with the weights that scored best on the held-out examples.

    Any part may be a spec; a model made from one starts from weights that depend on ``seed`` alone. ``threat`` may be left
    out where the defense uses no set. ``device`` is by default the model's. The options are the fields of ``Recipe``: length,
    optimiser, precision, and the slots of the run, each a component or its spec.

    ``validation`` compares the checkpoints: the share of ``data`` that is held out, or another data set. Test data are
    refused there unless ``select_on_test`` says that they are meant; ``run.json`` records the rule.

    ``folder`` receives the run; the same call goes on where it was stopped, and ``fresh`` starts again. Equal settings give
    bit-equal weights on a CPU. Under ``torchrun`` or ``accelerate launch`` every process calls this, and each batch is shared
    among them.

    Raises ``SpecError`` for a wrong setting, ``InputError`` for data, a model or a folder that cannot serve, and
    ``DivergenceError`` where the loss is no longer finite.
    """
    method = make(defense, Defense)
    validation = options.pop("validation", FIELDS["validation"].default)
    if isinstance(validation, str | Dataset):
        validation = made("validation", validation, Dataset)
    # another data set leaves all of this one to train on
    recipe = recipe_of(method, options | {"validation": 0.0 if isinstance(validation, Dataset) else validation})
    examples, given, place = make(data, Dataset), _set(method, threat), as_folder(folder)
    if device is not None:
        find_device(device)
    processes = Processes(device, _home(model))
    task = _Task(method, recipe, examples, validation, given, place, processes)
    with torch.random.fork_rng([processes.device] if processes.device.type == "cuda" else []):
        torch.manual_seed(recipe.seed)
        name = model if isinstance(model, str) else type(model).__name__
        network = make(model, nn.Module).to(processes.device)
        processes.agree(network)
        classes, selection = task.check(network, select_on_test)
        literal = threat if isinstance(threat, str) else given.spec(full=True)
        rule = selection.record(method.scored_by(), given, literal)
        record = open_folder(place, {"model": name, **task.settings(network)}, rule, processes, fresh)
        return task.run(network, selection, classes, record, progress=progress)


@attrs.frozen(eq=False)
class _Task:
    """A training that was asked for, made of its specs."""

    defense: Defense
    recipe: Recipe
    data: Dataset
    # a share of the data, or another data set
    validation: float | Dataset
    threat: ThreatModel
    folder: Path
    processes: Processes

    def check(self, model: nn.Module, test_allowed: bool) -> tuple[int, Selection]:
        """The number of the model's logits, and the choice of the held-out examples; raises where they cannot serve."""
        if not len(self.data):
            raise InputError(f"{self.data.name} has no examples; give at least two to train on")
        classes = self.defense.check(model, self.data, self.threat)
        selection = select(self.data, self.validation, self.recipe, test_allowed=test_allowed)
        if isinstance(self.validation, Dataset):
            self.defense.check(model, self.validation, self.threat)
        return classes, selection

    def settings(self, model: nn.Module) -> dict[str, object]:
        """The settings that two runs must share to be the same run, as plain values."""
        settings = {
            "defense": self.defense.spec(full=True),
            "weights": digest(model.state_dict().values()),
            "data": self.data.name,
            "examples": _digest(self.data),
            "threat": self.threat.spec(full=True),
            **self.recipe.settings(),
        }
        if isinstance(self.validation, Dataset):
            settings |= {"validation": self.validation.name, "validation_examples": _digest(self.validation)}
        return settings

    def run(
        self, model: nn.Module, selection: Selection, classes: int, record: dict[str, object], *, progress: bool
    ) -> nn.Module:
        """The trained network; the record of the run is completed by how it ended."""
        inputs = selection.training.inputs[:1].to(self.processes.device)
        shown = progress and self.processes.main
        with progress_bar(shown) as display, compiled(model, self.recipe.compile, inputs):
            run = Run.open(
                self.folder,
                model=model,
                defense=self.defense,
                recipe=self.recipe,
                held_out=selection.held_out,
                processes=self.processes,
                display=display,
                classes=classes,
            )
            best = self.defense.fit(model, selection.training, self.threat, run)
        if self.processes.main:
            examples = {"trained_on": len(selection.training), "held_out": len(selection.held_out)}
            write_json(self.folder / RECORD, record | {"result": examples | result(run)})
        return best


def _digest(data: Dataset) -> str:
    return digest([data.inputs, data.labels, data.index])


def _home(model: nn.Module | str) -> torch.device:
    """The device of the model; the CPU where it is yet to be made or has no parameters."""
    if not isinstance(model, str | nn.Module):
        raise SpecError(f"the model is {type(model).__name__}; allowed are a torch Module and the spec of one")
    parameters = iter(()) if isinstance(model, str) else model.parameters()
    return next((parameter.device for parameter in parameters), torch.device("cpu"))


def _set(defense: Defense, threat: ThreatModel | str | None) -> ThreatModel:
    """The set; that of no perturbation where the defense needs none. Raises ``SpecError`` where it needs one."""
    if threat is not None:
        return make(threat, ThreatModel)
    if defense.needs_set:
        raise SpecError(
            f"no set of perturbations is given, and {defense} needs one; give a threat, as in linf(eps=0.1)"
        )
    return NoSet()
