"""``inradius train``."""

import os
import shlex
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

from inradius.cli import curves, options
from inradius.cli.console import console, say
from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.models.check import try_out
from inradius.models.load import is_file, load_model
from inradius.report.history import is_training
from inradius.sets.threat_model import ThreatModel
from inradius.training.defense import Defense
from inradius.training.train import train as train_network

OPTIMISATION = "How the weights move"
SELECTION = "What compares the checkpoints"
SLOTS = "The slots of the run"

Several = list[str] | None


def _slot(help: str, name: str | None = None) -> Any:  # noqa: A002  # typer's own name for it
    return typer.Option(*([name] if name else []), metavar="SPEC", help=help, rich_help_panel=SLOTS)


def train(
    defense: Annotated[
        str, typer.Argument(metavar="DEFENSE", help="A defense, as in standard or adversarial(attack=pgd).")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", parser=options.folder, help="The run's folder.")],
    model: options.Model = "mnist_small",
    weights: options.Weights = None,
    data: options.Data = "mnist5k(split='train')",
    threat: options.Threat = options.THREAT,
    epochs: Annotated[int, typer.Option(min=1, metavar="N", help="How often each example is seen.")] = 20,
    batch_size: options.BatchSize = 128,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Where to compute.", show_default="an accelerator where there is one"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Draws all that is left to chance.")] = 0,
    fresh: options.Fresh = False,
    optimizer: Annotated[
        str, typer.Option(metavar="NAME", help="adam, adamw or sgd.", rich_help_panel=OPTIMISATION)
    ] = "adam",
    lr: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="The first learning rate.",
            show_default="0.001, for sgd 0.1",
            rich_help_panel=OPTIMISATION,
        ),
    ] = None,
    schedule: Annotated[
        str,
        typer.Option(
            metavar="SPEC",
            help="A schedule of the rate: constant, cosine, linear, steps, cyclic and others.",
            rich_help_panel=OPTIMISATION,
        ),
    ] = "cosine",
    weight_decay: Annotated[
        float, typer.Option(metavar="FACTOR", help="The optimiser's weight decay.", rich_help_panel=OPTIMISATION)
    ] = 0.0,
    clip: Annotated[
        float | None,
        typer.Option(metavar="NORM", help="A bound on the gradient's norm.", rich_help_panel=OPTIMISATION),
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Keep a moving average of the weights; the share that each step keeps, as in 0.995.",
            rich_help_panel=OPTIMISATION,
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="float32, bfloat16 or float16.", rich_help_panel=OPTIMISATION)
    ] = "float32",
    compile_model: Annotated[
        bool, typer.Option("--compile", help="Have torch compile the network.", rich_help_panel=OPTIMISATION)
    ] = False,
    validation: Annotated[
        str,
        typer.Option(
            metavar="SHARE|SPEC",
            help="The share of the data that is held out to compare checkpoints, or other data by name.",
            rich_help_panel=SELECTION,
        ),
    ] = "0.1",
    select_on_test: Annotated[
        bool,
        typer.Option(
            "--select-on-test",
            help="Let test data compare the checkpoints, which is then recorded; the test says nothing of the result.",
            rich_help_panel=SELECTION,
        ),
    ] = False,
    transform: Annotated[
        Several, _slot("A random change of the inputs, as in shift(pixels=2); repeat it for several.")
    ] = None,
    sampler: Annotated[str | None, _slot("Which examples make a mini-batch, as in cfol.")] = None,
    radius: Annotated[str | None, _slot("A schedule of the set's radius, as in ramp(over=0.3).")] = None,
    regularizer: Annotated[
        Several, _slot("What is added to the loss, as in grad_align(weight=0.2); repeat it for several.")
    ] = None,
    direction: Annotated[str | None, _slot("How several gradients become one, as in min_norm.")] = None,
    update: Annotated[str | None, _slot("How gradients move the weights, as in awp.")] = None,
    monitor: Annotated[
        Several, _slot("What watches the run, as in catastrophic_overfitting; repeat it for several.")
    ] = None,
) -> None:
    """Trains a network and keeps its best and its last weights; the same command goes on after a stop."""
    method = make(defense, Defense)
    given = make(threat, ThreatModel)
    network = _network(model, weights, seed)
    examples = make(data, Dataset)
    if len(examples) and method.classifies:
        try_out(network, examples)
    trained = train_network(
        defense,
        # a name says more in the run's record than the network that it made
        model if weights is None and not is_file(model) else network,
        examples,
        # as it was typed, for the run's record
        threat,
        folder=out,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        lr=lr,
        schedule=schedule,
        weight_decay=weight_decay,
        clip=clip,
        ema=ema,
        precision=precision,
        compile=compile_model,
        validation=_validation(validation),
        select_on_test=select_on_test,
        transforms=transform or (),
        regularizers=regularizer or (),
        monitors=monitor or (),
        sampler=sampler,
        direction=direction,
        update=update,
        radius=radius,
        device=device or _accelerator(),
        seed=seed,
        progress=console().is_terminal,
        fresh=fresh,
    )
    best = out / "best.safetensors"
    say(f"best weights   {best}")
    # a method that owns its run may keep no record of epochs
    if is_training(out):
        curves.show([out], out / curves.CURVES)
    if not method.classifies:
        return
    fitting = method.trained_spec(model, given, trained)
    say(f"evaluate them  inradius bracket --model {shlex.quote(fitting)} --weights {shlex.quote(str(best))}")


def _network(spec: str, weights: Path | None, seed: int) -> nn.Module:
    """The network with weights that depend on the seed alone, or on the file."""
    torch.manual_seed(seed)
    return load_model(spec, weights)


def _accelerator() -> torch.device | None:
    """One where there is one, None where a launcher says which."""
    launched = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return None if launched or not torch.accelerator.is_available() else torch.accelerator.current_accelerator()


def _validation(text: str) -> float | str:
    """A share, or else a spec."""
    try:
        return float(text)
    except ValueError:
        return text
