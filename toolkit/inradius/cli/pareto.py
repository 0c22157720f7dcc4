"""``inradius pareto``."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from inradius.cli import options
from inradius.cli.console import is_first, say
from inradius.pareto.methods import METHODS
from inradius.pareto.pareto import pareto as trade_off
from inradius.pareto.point import Point
from inradius.stored.files import write_atomic

TABLE, FIGURE = "pareto.md", "pareto.png"
Numbers = list[float] | None


def pareto(
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", parser=options.folder, help="The folder of all points.")
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help=f"One of {', '.join(METHODS)}, or a defense with {{dial}} in it; repeat it for several.",
            show_default="the first four",
        ),
    ] = None,
    dial: Annotated[
        Numbers,
        typer.Option("--dial", metavar="VALUE", help="A value of the dial; repeat it.", show_default="the method's"),
    ] = None,
    scale: Annotated[
        Numbers,
        typer.Option(
            "--scale", metavar="FACTOR", help="A factor of the radius in training; repeat it.", show_default="1"
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, metavar="N", help="How many seeds, from 0 on.")] = 1,
    model: Annotated[
        str, typer.Option("--model", metavar="SPEC", help="The network to train, by name.")
    ] = "mnist_small",
    data: options.Data = "mnist5k(split='train')",
    threat: options.Threat = options.THREAT,
    judged_on: Annotated[
        str,
        typer.Option("--judged-on", metavar="SPEC", help="The data that clean and certified accuracy are counted on."),
    ] = "mnist5k(split='held_out')",
    count: Annotated[
        int, typer.Option("--count", min=0, metavar="N", help="How many of them, the first ones; 0 for all.")
    ] = 0,
    certifier: Annotated[
        str, typer.Option("--certifier", metavar="SPEC", help="The certifier that counts.")
    ] = "crown()",
    epochs: Annotated[int, typer.Option("--epochs", min=1, metavar="N", help="Passes over the data.")] = 20,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, metavar="N", help="How many examples a step.")
    ] = 128,
    lr: Annotated[
        float | None, typer.Option("--lr", metavar="RATE", help="The first rate.", show_default="train's")
    ] = None,
) -> None:
    """Trains by methods of certified training at several settings: clean against certified accuracy, as table, JSON and figure."""
    given = {"lr": lr} if lr is not None else {}
    found = trade_off(
        method or list(METHODS)[:4],
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
        **given,
    )
    if not is_first():
        return
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
    say(
        f"clean {point.clean:6.1%}  certified {point.certified:6.1%}  {point.spec}  radius × {point.scale:g}  seed {point.seed}"
    )
