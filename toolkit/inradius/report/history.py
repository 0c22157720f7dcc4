"""A training run, read from its folder: one line of numbers for each epoch."""

from pathlib import Path
from typing import Any

import attrs

from inradius.errors import InputError
from inradius.report.histograms import Histogram, histograms
from inradius.stored.listing import RECORD
from inradius.stored.reading import record, records

METRICS = "metrics.jsonl"
# numbers of an epoch that are no curve
_BOOKKEEPING = ("epoch", "seconds", "rolled_back")


@attrs.frozen(eq=False)
class History:
    """The epochs of a run: ``name`` for legends, a line of numbers each, and the run's record (empty where it has none)."""

    name: str
    lines: tuple[dict[str, float], ...]
    record: dict[str, Any]
    # those that monitors wrote, of each epoch, by the monitor
    histograms: dict[str, list[Histogram]] = attrs.field(factory=dict)

    @classmethod
    def load(cls, folder: Path) -> "History":
        """The run in a folder. Raises ``InputError`` where no training run has finished an epoch there."""
        if not (folder / METRICS).is_file():
            raise InputError(
                f"{str(folder)!r} holds no readable {METRICS} (there is none); give the folder of a training run"
            )
        lines = tuple(records(folder / METRICS))
        known = record(folder / RECORD) if (folder / RECORD).is_file() else {}
        if not lines:
            raise InputError(f"the training run in {str(folder)!r} has finished no epoch yet; there is nothing to draw")
        return cls(folder.resolve().name, lines, known, histograms(folder))

    @property
    def names(self) -> list[str]:
        """The names of the curves, in the order of their first epoch."""
        return [name for name in dict.fromkeys(key for line in self.lines for key in line) if name not in _BOOKKEEPING]

    def curve(self, name: str) -> tuple[list[float], list[float]]:
        """The epochs in which a curve has a number, and its numbers."""
        points = [(line["epoch"], line[name]) for line in self.lines if name in line]
        return [epoch for epoch, _ in points], [value for _, value in points]

    @property
    def rolled_back(self) -> list[float]:
        """The epochs that were rolled back."""
        return [line["epoch"] for line in self.lines if line.get("rolled_back")]

    @property
    def kept(self) -> list[dict[str, float]]:
        """The epochs with a score that were not rolled back."""
        return [line for line in self.lines if not line.get("rolled_back") and "score" in line]

    @property
    def best(self) -> dict[str, float] | None:
        """The epoch with the highest score, the later one of equals; None where nothing was held out."""
        return max(self.kept, key=lambda line: (line["score"], line["epoch"]), default=None)

    @property
    def last(self) -> dict[str, float] | None:
        """The epoch of the last weights; None where nothing was held out."""
        return self.kept[-1] if self.kept else None

    def gaps(self) -> tuple[list[float], list[float]]:
        """The epochs with a score, and for each the best score so far minus its own."""
        best, gaps = float("-inf"), []
        for line in self.kept:
            best = max(best, line["score"])
            gaps.append(best - line["score"])
        return [line["epoch"] for line in self.kept], gaps


def is_training(folder: Path) -> bool:
    """True for the folder of a training run, or of a run that trains several networks."""
    return (folder / METRICS).is_file() or any(folder.glob(f"parts/*/{METRICS}"))


def histories(folder: Path) -> list[History]:
    """The run in a folder; for a run that trains several networks, one for each network."""
    if (folder / METRICS).is_file() or not is_training(folder):
        return [History.load(folder)]
    return [History.load(part.parent) for part in sorted(folder.glob(f"parts/*/{METRICS}"))]
