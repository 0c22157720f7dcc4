"""Draws docs/assets/collapse.svg: single-step adversarial training with and without a random start.

Run it from the root of the repository, with the extra ``demo`` installed: ``python docs/_figures/collapse.py``; it takes about
a minute and a half, and prints what the text says. Source: wong2020fast, dejorge2022.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch

import inradius
from inradius import Dataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TARGET = Path(__file__).parents[1] / "assets" / "collapse.svg"
EPOCHS = 12
# zero start, random start in the set, and a start beyond it
ATTACKS = {"fgsm()": "#d55e00", "fgsm_rs(step=1.0)": "#e69f00", "n_fgsm()": "#0072b2"}
# it watches and never rolls back
MONITOR = "catastrophic_overfitting(attack=pgd(steps=10, step=0.25), drop=1.0, examples=250)"

Line = dict[str, float]


def curves(attack: str) -> list[Line]:
    """A line of numbers for each epoch, on 3800 images of MNIST."""
    with TemporaryDirectory() as folder:
        inradius.train(
            f"adversarial({attack})",
            "mnist_small",
            inradius.make("mnist5k(split='train')", Dataset),
            "linf(eps=0.2)",
            folder=folder,
            epochs=EPOCHS,
            batch_size=64,
            lr=0.001,
            schedule="constant",
            validation=0.05,
            monitors=[MONITOR],
        )
        return [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]


def panel(axes: "Axes", title: str, name: str, found: dict[str, list[Line]]) -> None:
    """One number for each attack that was trained with, over the epochs."""
    for attack, lines in found.items():
        values = [line[f"catastrophic_overfitting/{name}"] for line in lines]
        axes.plot([line["epoch"] for line in lines], values, color=ATTACKS[attack], label=attack)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel("epoch")
    axes.set_ylim(0, 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def draw() -> None:
    """Trains with each attack, prints the best and the last epoch, and writes the picture."""
    import matplotlib
    from matplotlib.figure import Figure

    found: dict[str, list[Line]] = {}
    for attack in ATTACKS:
        found[attack] = curves(attack)
        for name in ("fast_accuracy", "accuracy"):
            values = [line[f"catastrophic_overfitting/{name}"] for line in found[attack]]
            print(f"{attack:18} {name:14} best {max(values):.3f}, last {values[-1]:.3f}", flush=True)
    # equal runs give equal files
    matplotlib.rcParams["svg.hashsalt"] = "inradius"
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    fast, strong = figure.subplots(1, 2)
    panel(fast, "accuracy under fgsm()", "fast_accuracy", found)
    panel(strong, "accuracy under pgd(steps=10)", "accuracy", found)
    strong.legend(frameon=False, title="trained with", fontsize=8, title_fontsize=8)
    figure.savefig(TARGET, metadata={"Date": None})


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    draw()
