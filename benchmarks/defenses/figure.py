"""Draws docs/assets/single-step.svg from the runs of single_step.py.

python benchmarks/defenses/figure.py runs/single-step
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from runs import history

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TARGET = Path(__file__).parents[2] / "docs" / "assets" / "single-step.svg"
COLOURS = {
    "pgd-7": "#009e73",
    "fgsm": "#d55e00",
    "fgsm_rs,_step_1": "#e69f00",
    "fgsm_rs,_step_1.25": "#f0c060",
    "n_fgsm": "#0072b2",
    "fgsm_+_grad_align": "#cc79a7",
    "fgsm_+_grad_align_2": "#882255",
    "fgsm_+_elle_a": "#56b4e9",
}


def panel(axes: "Axes", title: str, column: str, folder: Path) -> None:
    """The accuracy of every seed over the epochs, a colour for each method."""
    for method, colour in COLOURS.items():
        for seed, run in enumerate(sorted(folder.glob(f"{method}-*-[0-9]"))):
            lines = history(run)
            values = [line[column] for line in lines]
            label = method.replace("_+_", " + ").replace(",_step_", ", step ") if not seed else None
            axes.plot([line["epoch"] for line in lines], values, color=colour, label=label, linewidth=1.2)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel("epoch")
    axes.set_ylim(0, 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def main() -> None:
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "inradius"
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    fast, strong = figure.subplots(1, 2)
    panel(fast, "held-out accuracy under fgsm()", "fgsm", Path(sys.argv[1]))
    panel(strong, "held-out accuracy under pgd(steps=20)", "pgd", Path(sys.argv[1]))
    figure.legend(*fast.get_legend_handles_labels(), loc="outside right", frameon=False, fontsize=8)
    figure.savefig(TARGET, metadata={"Date": None})


if __name__ == "__main__":
    main()
