"""``inradius train``."""

import shlex
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import nn

from inradius.cli import options
from inradius.cli.console import console, say
from inradius.data import Dataset
from inradius.defense import Defense
from inradius.models import find_device, is_file, load_model, try_out
from inradius.registry import make
from inradius.threat import ThreatModel
from inradius.training.train import train as train_network


def train(
    defense: Annotated[
        str, typer.Argument(metavar="DEFENSE", help="A defense, as in standard or adversarial(attack=pgd).")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The run's folder.")],
    model: options.Model = "mnist_small",
    weights: options.Weights = None,
    data: options.Data = "mnist5k(split='train')",
    threat: options.Threat = options.THREAT,
    epochs: Annotated[int, typer.Option(min=1, metavar="N", help="How often each example is seen.")] = 20,
    batch_size: options.BatchSize = 128,
    optimizer: Annotated[str, typer.Option(metavar="NAME", help="adam, adamw or sgd.")] = "adam",
    lr: Annotated[
        float | None,
        typer.Option(metavar="RATE", help="The first learning rate.", show_default="0.001, for sgd 0.1"),
    ] = None,
    schedule: Annotated[
        str, typer.Option(metavar="NAME", help="A schedule of the rate: constant, cosine, linear, steps, cyclic.")
    ] = "cosine",
    weight_decay: Annotated[float, typer.Option(metavar="FACTOR", help="The optimiser's weight decay.")] = 0.0,
    clip: Annotated[float | None, typer.Option(metavar="NORM", help="A bound on the gradient's norm.")] = None,
    validation: Annotated[
        float, typer.Option(metavar="SHARE", help="The share of the data that compares checkpoints.")
    ] = 0.1,
    transform: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="A random change of the images, as in shift(pixels=2); may be repeated."),
    ] = None,
    regularizer: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="What is added to the loss, as in grad_align(weight=0.2); may be repeated."),
    ] = None,
    monitor: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="What watches the run, as in catastrophic_overfitting(); may be repeated."),
    ] = None,
    sampler: Annotated[
        str | None, typer.Option(metavar="SPEC", help="Which examples make a mini-batch, as in cfol().")
    ] = None,
    direction: Annotated[
        str | None, typer.Option(metavar="SPEC", help="How several gradients become one, as in min_norm().")
    ] = None,
    update: Annotated[
        str | None, typer.Option(metavar="SPEC", help="How gradients move the weights, as in awp().")
    ] = None,
    radius: Annotated[
        str | None, typer.Option(metavar="SPEC", help="A schedule of the set's radius, as in ramp(over=0.3).")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Where to compute.", show_default="an accelerator where there is one"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Draws all that is left to chance.")] = 0,
    fresh: options.Fresh = False,
) -> None:
    """Trains a network and keeps its best and its last weights; the same command goes on after a stop."""
    method = make(defense, Defense)
    given = make(threat, ThreatModel)
    place = None if device is None else find_device(device)
    network = _network(model, weights, seed)
    examples = make(data, Dataset)
    if len(examples) and method.classifies:
        try_out(network, examples)
    trained = train_network(
        defense,
        # a name says more in the run's record than the network that it made
        model if weights is None and not is_file(model) else network,
        examples,
        given,
        folder=out,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        lr=lr,
        schedule=schedule,
        weight_decay=weight_decay,
        clip=clip,
        validation=validation,
        transforms=transform or (),
        regularizers=regularizer or (),
        monitors=monitor or (),
        sampler=sampler,
        direction=direction,
        update=update,
        radius=radius,
        device=place,
        seed=seed,
        progress=console().is_terminal,
        fresh=fresh,
    )
    best = out / "best.safetensors"
    say(f"best weights   {best}")
    if not method.classifies:
        return
    fitting = method.trained_spec(model, given, trained)
    say(f"evaluate them  inradius bracket --model {shlex.quote(fitting)} --weights {shlex.quote(str(best))}")


def _network(spec: str, weights: Path | None, seed: int) -> nn.Module:
    """The network with weights that depend on the seed alone, or on the file."""
    torch.manual_seed(seed)
    return load_model(spec, weights)
