"""Draws docs/assets/overfitting.svg: adversarial training for too long, on few images.

Run it from the root of the repository, with the extra ``demo`` installed: ``python docs/_figures/overfitting.py``; it takes
about a minute, and prints what the text says. Source: rice2020.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import attrs
import torch
from torch import nn

import inradius
from inradius import Attack, Dataset, RunState, ThreatModel
from inradius.training.losses import cross_entropy
from inradius.training.slots import Action, Monitor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TARGET = Path(__file__).parents[1] / "assets" / "overfitting.svg"
ATTACK = "pgd(steps=5, keep_maximising=True)"
EPOCHS = 200
COLOURS = {"training": "#0072b2", "held out": "#d55e00"}

Line = dict[str, float]


@attrs.frozen(kw_only=True)
class BothSides(Monitor):
    """Notes loss and accuracy under attack, on the training examples and on the held-out ones."""

    def after_epoch(self, model: nn.Module, threat: ThreatModel, run: RunState) -> list[Action]:
        attack = inradius.make(ATTACK, Attack)
        assert run.data is not None
        for name, data in (("training", run.data), ("held out", run.held_out)):
            found = attack(model, data.inputs, data.labels, threat, index=data.index)
            with torch.no_grad():
                loss = cross_entropy(model(data.inputs + found.delta), data).mean()
            run.log(**{f"{name}: loss": float(loss), f"{name}: accuracy": 1 - float(found.success.double().mean())})
        return []


def curves() -> list[Line]:
    """A line of numbers for each epoch: 200 digits to train on, 300 others held out."""
    data = inradius.make("digits(split='train')", Dataset)
    with TemporaryDirectory() as folder:
        inradius.train(
            f"adversarial({ATTACK})",
            "mlp(64, 256, 256, 10)",
            data.select(slice(0, 200)),
            "linf(eps=0.2)",
            folder=folder,
            epochs=EPOCHS,
            batch_size=50,
            lr=0.005,
            schedule="constant",
            validation=data.select(slice(200, 500)),
            monitors=[BothSides()],
        )
        return [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]


def panel(axes: "Axes", name: str, lines: list[Line]) -> None:
    """One number on both sides, over the epochs."""
    for side, colour in COLOURS.items():
        axes.plot(
            [line["epoch"] for line in lines], [line[f"{side}: {name}"] for line in lines], color=colour, label=side
        )
    axes.set_title(f"{name} under attack", fontsize=10, loc="left")
    axes.set_xlabel("epoch")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)


def draw() -> None:
    """Trains, prints the epochs that the text names, and writes the picture."""
    import matplotlib
    from matplotlib.figure import Figure

    lines = curves()
    best = max(lines, key=lambda line: (line["held out: accuracy"], line["epoch"]))
    lowest = min(lines, key=lambda line: line["held out: loss"])
    for name, line in (("best accuracy", best), ("lowest loss", lowest), ("last", lines[-1])):
        numbers = ", ".join(
            f"{key} {line[key]:.3f}" for side in COLOURS for key in (f"{side}: loss", f"{side}: accuracy")
        )
        print(f"{name:14} epoch {line['epoch']:.0f}: {numbers}")
    # equal runs give equal files
    matplotlib.rcParams["svg.hashsalt"] = "inradius"
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        panel(axes, name, lines)
    figure.savefig(TARGET, metadata={"Date": None})


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    draw()
