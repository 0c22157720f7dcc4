"""Draws docs/assets/regions.png: decision regions in the plane after standard, adversarial and certified training.

Twelve points with random labels, no two nearer than twice the radius, so that a network exists that is right on every square
around them. Source: wong2020, figure 3.3. Run it from the root of the repository, with the extra ``demo`` installed:
``python docs/_figures/regions.py``; it takes about a minute and a half, and prints what the text says.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

import inradius
from inradius import Dataset, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TARGET = Path(__file__).parents[1] / "assets" / "regions.png"
EPS = 0.08
COUNT = 12
THREAT = f"linf(eps={EPS}, bounds=None)"
# the defense, and the epochs of one step each that it takes to come to rest
RUNS = {
    "standard()": 200,
    "adversarial(pgd(steps=5, keep_maximising=True))": 600,
    "certified(dual())": 500,
}
# Okabe and Ito's blue and orange, which people who do not see red and green apart can tell
COLOURS = ("#0072b2", "#e69f00")


def points(seed: int = 0) -> Dataset:
    """Points of the unit square, each at least 2 ε away from the others in ℓ∞, with random labels."""
    rng = torch.Generator().manual_seed(seed)
    chosen: list[Tensor] = []
    while len(chosen) < COUNT:
        point = torch.rand(2, generator=rng)
        if all(float((point - other).abs().max()) >= 2 * EPS for other in chosen):
            chosen.append(point)
    return Dataset.of(torch.stack(chosen), torch.randint(2, (COUNT,), generator=rng), bounds=None, name="points")


def train(defense: str, epochs: int, data: Dataset) -> nn.Module:
    """The network of the thesis, trained on all points at once."""
    with TemporaryDirectory() as folder:
        return inradius.train(
            defense,
            "mlp(2, 100, 100, 100, 100, 2)",
            data,
            THREAT,
            folder=folder,
            epochs=epochs,
            batch_size=COUNT,
            lr=0.002,
            validation=0.0,
        )


def judge(model: nn.Module, data: Dataset) -> Report:
    """The bracket, closed by a certifier that is exact."""
    with TemporaryDirectory() as folder:
        return inradius.bracket(
            model, data, THREAT, attacks="pgd(restarts=5)", certifiers=["dual", "milp"], folder=folder
        )


def panel(axes: "Axes", title: str, model: nn.Module, data: Dataset, report: Report) -> None:
    """The regions, the points and their squares; a square with a second class in it has a thick edge."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Rectangle

    side = torch.linspace(-0.1, 1.1, 400)
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        regions = model(grid).argmax(1).view(400, 400).mT
    axes.imshow(regions, origin="lower", extent=(-0.1, 1.1, -0.1, 1.1), cmap=ListedColormap(COLOURS), alpha=0.35)
    for (a, b), label, example in zip(data.inputs.tolist(), data.labels.tolist(), report.examples, strict=True):
        safe = example.status == "certified"
        edge, width = ("black", 0.8) if safe else ("#d55e00", 2.2)
        axes.add_patch(Rectangle((a - EPS, b - EPS), 2 * EPS, 2 * EPS, fill=False, edgecolor=edge, linewidth=width))
        axes.plot(a, b, "o", color=COLOURS[label], markeredgecolor="black", markersize=6)
    axes.set_title(f"{title}\nrobust on {round(report.lower * COUNT)} of {COUNT}", fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])


def draw() -> None:
    """Trains the three networks, prints their brackets and writes the picture."""
    from matplotlib.figure import Figure

    data = points()
    figure = Figure(figsize=(10.5, 4.1), layout="constrained")
    for axes, (defense, epochs) in zip(figure.subplots(1, len(RUNS)), RUNS.items(), strict=True):
        model = train(defense, epochs, data)
        report = judge(model, data)
        print(f"{defense:50} clean {report.clean:.1%}, {report.lower:.1%} ≤ robust ≤ {report.upper:.1%}", flush=True)
        panel(axes, f"{defense.partition('(')[0]} training", model, data, report)
    figure.savefig(TARGET, dpi=110)


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    draw()
