"""``inradius train``."""

import inspect
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import attrs
import torch
import typer
from torch import nn

from inradius.cli import curves, options
from inradius.cli.console import console, say
from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.models.check import check_forward
from inradius.models.load import is_file, load_model
from inradius.processes import launched
from inradius.report.history import is_training
from inradius.sets.threat_model import ThreatModel
from inradius.training.defense import Defense
from inradius.training.option import SELECTION, option_of
from inradius.training.options import FIELDS, KINDS, SEVERAL, default_of, spread
from inradius.training.selection import evaluated_on
from inradius.training.train import train as train_network


def _parameters() -> Iterator[inspect.Parameter]:
    """The options of the recipe as typer takes them."""
    for name, field in FIELDS.items():
        told, default = option_of(field), None if name in SEVERAL else default_of(field)
        shown = typer.Option(
            *([told.flag] if told.flag else []),
            metavar=told.metavar,
            help=told.help,
            rich_help_panel=told.group,
            show_default=told.default or True,
        )
        yield inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=str(default) if name == "validation" else default,
            annotation=Annotated[_type(field), shown],
        )


def _type(field: "attrs.Attribute[Any]") -> Any:
    """The type of an option's value on the command line; components and other data are given as specs."""
    if field.name in SEVERAL:
        return list[str] | None
    if field.name in KINDS:
        return str | None
    if field.name == "validation":
        return str
    return field.type | None if default_of(field) is None else field.type  # type: ignore[operator]


@spread(_parameters())
def train(
    defense: Annotated[
        str, typer.Argument(metavar="DEFENSE", help="A defense, as in standard or adversarial(attack=pgd).")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", parser=options.folder, help="The run's folder.")],
    model: options.Model = "mnist_small",
    weights: options.Weights = None,
    data: options.Data = "mnist5k(split='train')",
    threat: options.Threat = options.THREAT,
    select_on_test: Annotated[
        bool,
        typer.Option(
            "--select-on-test",
            help="Allow test data for checkpoint selection. The run records this; test accuracy is then biased.",
            rich_help_panel=SELECTION,
        ),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Where to compute.", show_default="an accelerator where there is one"),
    ] = None,
    fresh: options.Fresh = False,
    **given: Any,
) -> None:
    """Trains a network and keeps its best and its last weights; the same command goes on after a stop."""
    method = make(defense, Defense)
    the_set = make(threat, ThreatModel)
    network = _network(model, weights, given["seed"])
    examples = make(data, Dataset)
    if len(examples) and method.classifies:
        check_forward(network, examples)
    # pass the specs, not the objects, so that the run's record holds them as typed
    start = model if weights is None and not is_file(model) else network
    trained = train_network(
        defense,
        start,
        examples,
        threat,
        folder=out,
        device=device or _accelerator(),
        select_on_test=select_on_test,
        progress=console().is_terminal,
        fresh=fresh,
        **given | {"validation": _validation(given["validation"])},
    )
    best = out / "best.safetensors"
    say(f"best weights   {best}")
    # a method that owns its run may keep no record of epochs
    if is_training(out):
        curves.show([out], out / curves.CURVES)
    if method.classifies:
        _say_how_to_evaluate(method.trained_spec(model, the_set, trained), best, data, threat)


def _say_how_to_evaluate(model: str, weights: Path, data: str, threat: str) -> None:
    """Prints the command that brackets the trained network against the same set."""
    asked = {"model": model, "weights": str(weights), "data": evaluated_on(data), "threat": threat}
    say(
        f"evaluate them  inradius bracket {' '.join(f'--{name} {shlex.quote(value)}' for name, value in asked.items())}"
    )


def _network(spec: str, weights: Path | None, seed: int) -> nn.Module:
    """The network with weights that depend on the seed alone, or on the file."""
    torch.manual_seed(seed)
    return load_model(spec, weights)


def _accelerator() -> torch.device | None:
    """The current accelerator; None if there is none, or if a launcher assigns the devices."""
    return None if launched() or not torch.accelerator.is_available() else torch.accelerator.current_accelerator()


def _validation(text: str) -> float | str:
    """A share, or else a spec."""
    try:
        return float(text)
    except ValueError:
        return text
