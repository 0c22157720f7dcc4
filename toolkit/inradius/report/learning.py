"""Learning curves: the numbers of a training run over its epochs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inradius.errors import InputError
from inradius.report.histograms import draw_histograms
from inradius.report.history import History, histories
from inradius.stored.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVES = "learning_curves.svg"
_TITLES = {"loss": "training loss", "lr": "learning rate", "gap": "best score so far − score"}
# more series than this are drawn thin and without names
_FEW = 6
# inches, of a panel and above the first
_COLUMNS, _WIDTH, _HEIGHT, _HEAD = 2, 4.6, 2.5, 0.3
# Okabe and Ito's colours, which people who do not see red and green apart can tell
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_DASHES = ("-", "--", ":", "-.")


def learning_curves(folder: str | Path | Sequence[str | Path], *, path: str | Path | None = None) -> "Figure":
    """The curves of a training run, or of several to compare: loss, learning rate, scores, gap, and what monitors noted.

    ``path`` is a .svg, .png or .pdf file to write; of one folder by default ``learning_curves.svg`` in its folder, of several
    none. Histograms that monitors wrote are drawn for one run. A diamond is the epoch whose weights were kept as the best;
    bands are epochs that were rolled back. The gap is how much lower the score is than the best one so far. Raises
    ``InputError`` for a folder without a training run, and ``UnsupportedError`` where matplotlib is not installed.
    """
    alone = isinstance(folder, str | Path)
    folders = [Path(folder)] if isinstance(folder, str | Path) else [Path(one) for one in folder]
    if not folders:
        raise InputError("no folder was given; allowed is that of a training run, or several")
    runs = _named([run for one in folders for run in histories(one)], folders)
    figure = _draw(runs)
    place = folders[0] / CURVES if path is None and alone else path
    if place is not None:
        from inradius.report.figures import draw

        write_atomic(Path(place), draw(figure, Path(place).suffix.lstrip(".") or "svg"))
    return figure


def _named(runs: list[History], folders: list[Path]) -> list[tuple[str, History]]:
    """The runs with names that differ: those of their folders, with the folder above where these are equal."""
    names = [run.name for run in runs]
    if len(set(names)) < len(names) and len(folders) == len(runs):
        names = [str(Path(folder.resolve().parent.name, folder.resolve().name)) for folder in folders]
    return list(zip(names, runs, strict=True))


def panels(runs: Sequence[History]) -> dict[str, list[str]]:
    """The curves of each panel, by its title; the curves of one monitor, ``monitor/name``, share a panel."""
    names = list(dict.fromkeys(name for run in runs for name in run.names))
    found: dict[str, list[str]] = {}
    for name in names:
        if name in ("score", "clean"):
            found.setdefault("held-out accuracy", []).append(name)
            found.setdefault(_TITLES["gap"], [""])
        else:
            group = name.rpartition("/")[0] or name
            found.setdefault(_TITLES.get(group, group.replace("_", " ").replace("/", ": ")), []).append(name)
    return found


def _draw(runs: list[tuple[str, History]]) -> "Figure":
    from inradius.report.figures import blank

    plan = panels([run for _, run in runs])
    # those of several runs would lie on each other
    spread = runs[0][1].histograms if len(runs) == 1 else {}
    rows = -(-(len(plan) + len(spread)) // _COLUMNS)
    height = rows * _HEIGHT + _HEAD
    figure = blank(_COLUMNS * _WIDTH, height)
    grid: Any = figure.subplots(rows, _COLUMNS, squeeze=False)
    places = list(grid.flat)
    for axes, (title, names) in zip(places, plan.items(), strict=False):
        _panel(axes, title, names, runs)
    for axes, (monitor, lines) in zip(places[len(plan) :], spread.items(), strict=False):
        draw_histograms(axes, lines)
        _finish(axes, f"{monitor.replace('_', ' ')}: histogram")
    for axes in places[len(plan) + len(spread) :]:
        axes.set_visible(False)
    figure.suptitle(", ".join(name for name, _ in runs), fontsize=10)
    figure.tight_layout(rect=(0, 0, 1, 1 - _HEAD / height))
    return figure


def _panel(axes: Any, title: str, names: list[str], runs: list[tuple[str, History]]) -> None:
    """The curves of one panel: of one run each in a colour, of several a colour for each run."""
    alone = len(runs) == 1
    faint = [name for name in names if len(names) > _FEW and name.rpartition("/")[2].isdigit()]
    clear = [name for name in names if name not in faint]
    for place, (run_name, run) in enumerate(runs):
        colour = _COLOURS[place % len(_COLOURS)]
        for name in faint:
            axes.plot(*run.curve(name), color="0.6" if alone else colour, linewidth=0.6, alpha=0.5)
        for number, name in enumerate(clear):
            x, y = run.curve(name) if name else run.gaps()
            axes.plot(
                x,
                y,
                color=_COLOURS[number % len(_COLOURS)] if alone else colour,
                linestyle="-" if alone else _DASHES[number % len(_DASHES)],
                marker="." if len(x) == 1 else None,
                label=_label(name, run_name, alone=alone, single=len(clear) == 1),
            )
        _mark(axes, run, names, colour, alone=alone)
    _finish(axes, title)


def _label(name: str, run: str, *, alone: bool, single: bool) -> str | None:
    """The name of a curve in its panel; None for a curve without one."""
    series = name.rpartition("/")[2].replace("_", " ")
    if alone:
        return None if single else series
    return run if single or not series else f"{run}: {series}"


def _mark(axes: Any, run: History, names: list[str], colour: str, *, alone: bool) -> None:
    """Marks the best epoch and those that were rolled back; the panel of the scores has the legend."""
    told = alone and "score" in names
    if "score" in names and run.best is not None:
        label = "best" if told else None
        axes.plot(run.best["epoch"], run.best["score"], "D", markersize=5, color=colour, label=label)
    for place, epoch in enumerate(run.rolled_back):
        label = "rolled back" if told and place == 0 else None
        shade = "0.6" if alone else colour
        axes.axvspan(epoch - 0.5, epoch + 0.5, color=shade, alpha=0.25, linewidth=0, label=label)


def _finish(axes: Any, title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xlabel("epoch", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=7)
