"""The histograms that a monitor wrote, one for each epoch, as columns beside each other."""

from pathlib import Path
from typing import Any

from inradius.stored.reading import records

# a line of such a file: {"epoch": number, "edges": [...], "counts": [...]}
_FIELDS = {"epoch", "edges", "counts"}

Histogram = dict[str, Any]


def histograms(folder: Path) -> dict[str, list[Histogram]]:
    """The epochs' histograms in a run's folder, by the title of the monitor. Raises ``InputError`` for what is damaged."""
    found = {}
    for path in sorted(folder.glob("monitors/*.jsonl")):
        lines = records(path)
        if lines and all(line.keys() >= _FIELDS for line in lines):
            found[path.stem] = lines
    return found


def draw_histograms(axes: Any, lines: list[Histogram]) -> None:
    """A column for each epoch: the darker, the larger the share of the values there."""
    for line in lines:
        total = max(1.0, sum(line["counts"]))
        column = [[count / total] for count in line["counts"]]
        sides = (line["epoch"] - 0.5, line["epoch"] + 0.5)
        axes.pcolormesh(sides, line["edges"], column, cmap="Blues", vmin=0.0, vmax=0.5, rasterized=True)
