"""``inradius pareto``."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from inradius.cli import options
from inradius.cli.console import is_first, say
from inradius.pareto.methods import METHODS, USUAL
from inradius.pareto.pareto import pareto as trade_off
from inradius.pareto.point import Point
from inradius.pareto.trade_off import TradeOff
from inradius.stored.files import write_atomic

TABLE, FIGURE = "pareto.md", "pareto.png"

Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        metavar="NAME",
        help=f"One of {', '.join(METHODS)}, or a defense with {{dial}} in it; repeat it for several.",
        show_default=", ".join(USUAL),
    ),
]
Dials = Annotated[
    list[float] | None,
    typer.Option("--dial", metavar="VALUE", help="A value of the dial; repeat it.", show_default="the method's"),
]
Scales = Annotated[
    list[float] | None,
    typer.Option("--scale", metavar="FACTOR", help="A factor of the radius in training; repeat it.", show_default="1"),
]
Seeds = Annotated[int, typer.Option("--seeds", min=1, metavar="N", help="How many seeds, from 0 on.")]
Model = Annotated[str, typer.Option("--model", metavar="SPEC", help="The network to train, by name.")]
JudgedOn = Annotated[
    str, typer.Option("--judged-on", metavar="SPEC", help="The data that clean and certified accuracy are counted on.")
]
Count = Annotated[int, typer.Option("--count", min=0, metavar="N", help="How many of them, the first ones; 0 for all.")]
Judge = Annotated[str, typer.Option("--certifier", metavar="SPEC", help="The certifier that counts.")]
Epochs = Annotated[int, typer.Option("--epochs", min=1, metavar="N", help="Passes over the data.")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, metavar="N", help="How many examples a step.")]
Rate = Annotated[
    float | None, typer.Option("--lr", metavar="RATE", help="The first rate.", show_default="that of train")
]
Out = Annotated[Path, typer.Option("--out", metavar="FOLDER", parser=options.folder, help="The folder of all points.")]


def pareto(
    out: Out,
    method: Methods = None,
    dial: Dials = None,
    scale: Scales = None,
    seeds: Seeds = 1,
    model: Model = "mnist_small",
    data: options.Data = "mnist5k(split='train')",
    threat: options.Threat = options.THREAT,
    judged_on: JudgedOn = "mnist5k(split='held_out')",
    count: Count = 0,
    certifier: Judge = "crown()",
    epochs: Epochs = 20,
    batch_size: BatchSize = 128,
    lr: Rate = None,
) -> None:
    """Trains by methods of certified training at several settings: clean against certified accuracy, as table, JSON and figure."""
    found = trade_off(
        method or USUAL,
        model,
        data,
        threat,
        folder=out,
        judged_on=judged_on,
        dials=dial or (),
        scales=scale or (1.0,),
        seeds=seeds,
        certifier=certifier,
        count=count,
        show=_say,
        epochs=epochs,
        batch_size=batch_size,
        **({} if lr is None else {"lr": lr}),
    )
    if is_first():
        _write(found, out)


def _write(found: TradeOff, out: Path) -> None:
    """Writes the table, and the figure where matplotlib is installed."""
    write_atomic(out / TABLE, (found.to_markdown() + "\n").encode())
    say()
    say(found.to_markdown())
    say(f"table          {out / TABLE}")
    if find_spec("matplotlib") is None:
        say("figure         not drawn: matplotlib is not installed")
        return
    found.plot(out / FIGURE)
    say(f"figure         {out / FIGURE}")


def _say(point: Point) -> None:
    shares = f"clean {point.clean:6.1%}  certified {point.certified:6.1%}"
    say(f"{shares}  {point.spec}  radius × {point.scale:g}  seed {point.seed}")
