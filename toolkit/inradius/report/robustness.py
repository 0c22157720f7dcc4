"""Accuracy under attack over the radius, from the gauges of one run."""

import math
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from inradius.bracketing.example import Attempt, Example
from inradius.errors import InputError
from inradius.report.csv_text import csv_text
from inradius.report.intervals import clopper_pearson

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from inradius.report.report import Report

# what membership forgives
_TOLERANCE = 1e-5


@attrs.frozen(kw_only=True)
class Robustness:
    """An upper bound of the robust accuracy at every radius, where the sets grow with it.

    gauges: for each example, in ascending order, the smallest share of the radius at which an attack fooled the model: 0 for
    one that is misclassified, infinite for one that was never fooled; radius: the set's ``eps``, where it has one.
    """

    gauges: tuple[float, ...]
    radius: float | None

    def at(self, factor: float) -> float:
        """The share of examples that are classified correctly and were not fooled within ``factor`` times the radius."""
        return self._left(factor) / len(self.gauges)

    def interval(self, factor: float) -> tuple[float, float]:
        """The 95 % Clopper-Pearson interval of ``at``."""
        return clopper_pearson(self._left(factor), len(self.gauges))

    def _left(self, factor: float) -> int:
        return len(self.gauges) - bisect_right(self.gauges, factor * (1 + _TOLERANCE))

    def quantile(self, share: float) -> float:
        """The factor at which a share of the examples, in (0, 1], is fooled or wrong; infinite where fewer ever were."""
        return self.gauges[max(0, math.ceil(share * len(self.gauges)) - 1)]

    @property
    def median(self) -> float:
        """The factor at which half of the examples are fooled or wrong."""
        return self.quantile(0.5)

    @property
    def steps(self) -> tuple[float, ...]:
        """The factors at which the accuracy falls, from 0 on."""
        return tuple(sorted({0.0, *(gauge for gauge in self.gauges if math.isfinite(gauge))}))

    def to_csv(self) -> str:
        """A row for each step: the factor, the radius, the accuracy from there on, and the ends of its 95 % interval."""
        return csv_text(["factor", "radius", "accuracy", "low", "high"], self._rows())

    def _rows(self) -> Iterator[dict[str, object]]:
        for factor in self.steps:
            low, high = self.interval(factor)
            radius = None if self.radius is None else factor * self.radius
            yield {"factor": factor, "radius": radius, "accuracy": self.at(factor), "low": low, "high": high}

    def plot(self, path: str | Path | None = None) -> "Figure":
        """The curve with its 95 % interval; ``path`` is a .png, .svg or .pdf file to write.

        Raises ``UnsupportedError`` where matplotlib is not installed.
        """
        from inradius.report import figures

        return figures.plot_robustness(self, path=path)


def robustness_curve(report: "Report") -> Robustness:
    """The whole curve of the accuracy under attack over the radius, from one report.

    A minimal-norm attack gives it in one run: the gauge of what it finds is the factor of the radius at which the example
    breaks. Run with ``exhaustive=True``, or with that attack alone, so that no other one takes its examples. Answers outside of
    the set count from their gauge on, as long as they keep its hard constraints. Raises ``InputError`` where no attack was run.
    """
    if not report.setting.attacks:
        raise InputError(
            "the report has no attack, and its gauges make the curve; give at least one, minimal-norm for all radii"
        )
    return Robustness(gauges=tuple(sorted(map(smallest_gauge, report.examples))), radius=report.setting.radius)


def smallest_gauge(example: Example) -> float:
    """The smallest share of the radius that fooled the model: 0 where it is wrong, infinite where nothing did."""
    if not example.correct:
        return 0.0
    return min((a.gauge for a in example.attempts if _fooled(a)), default=math.inf)


def _fooled(attempt: Attempt) -> bool:
    """Whether an answer, inside of the set or not, fools beyond rounding and keeps the hard constraints."""
    lost = attempt.margin < 0 and not attempt.within_rounding
    return lost and attempt.violation <= _TOLERANCE and not math.isnan(attempt.gauge)
