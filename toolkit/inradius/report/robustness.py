"""Accuracy under attack over the radius, from the gauges of one run."""

import math
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from inradius.bracketing.clopper_pearson import clopper_pearson
from inradius.bracketing.example import Attempt, Example
from inradius.bracketing.result import BracketResult
from inradius.errors import InputError
from inradius.report.tables import csv_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# the tolerance of membership
_TOLERANCE = 1e-5


@attrs.frozen(kw_only=True)
class Robustness:
    """An upper bound of the robust accuracy at every radius, where the sets grow with it.

    gauges: for each example, in ascending order, the smallest share of the radius at which an attack succeeded: 0 for an
    example that is misclassified without perturbation, infinite where no attack succeeded; radius: the set's ``eps``, where
    it has one.
    """

    gauges: tuple[float, ...]
    radius: float | None

    def at(self, factor: float) -> float:
        """The share of examples that are classified correctly and that no attack broke within ``factor`` times the radius."""
        return self._left(factor) / len(self.gauges)

    def interval(self, factor: float) -> tuple[float, float]:
        """The 95 % Clopper-Pearson interval of the accuracy ``at(factor)``, (low, high)."""
        return clopper_pearson(self._left(factor), len(self.gauges))

    def _left(self, factor: float) -> int:
        return len(self.gauges) - bisect_right(self.gauges, factor * (1 + _TOLERANCE))

    def quantile(self, share: float) -> float:
        """The factor at which a share of the examples, in (0, 1], is broken or wrong; infinite where no factor breaks that many."""
        return self.gauges[max(0, math.ceil(share * len(self.gauges)) - 1)]

    @property
    def median(self) -> float:
        """The factor at which half of the examples are broken or wrong."""
        return self.quantile(0.5)

    @property
    def steps(self) -> tuple[float, ...]:
        """The factors at which the accuracy falls, from 0 on."""
        return tuple(sorted({0.0, *(gauge for gauge in self.gauges if math.isfinite(gauge))}))

    def to_csv(self) -> str:
        """The curve as CSV: for each step the factor, the radius, the accuracy from there on, and the ends of its 95 % interval."""
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
        from inradius.report.figures import plot_steps

        # the last step is drawn a little longer
        places = (*self.steps, 1.05 * self.steps[-1] or 1.0)
        factors = (*self.steps, self.steps[-1])
        unit = 1.0 if self.radius is None or self.radius <= 0 else self.radius
        at = [unit * place for place in places]
        intervals = [self.interval(factor) for factor in factors]
        xlabel = "radius ε" if self.radius else "times the radius"
        return plot_steps(at, [self.at(factor) for factor in factors], intervals, xlabel, path=path)


def robustness_curve(result: BracketResult) -> Robustness:
    """The whole curve of the accuracy under attack over the radius, from one report.

    A minimal-norm attack gives it in one run: the gauge of what it finds is the factor of the radius at which the example
    breaks. Run with ``exhaustive=True``, or with that attack alone, so that no other one takes its examples. Answers outside of
    the set count from their gauge on, as long as they keep its hard constraints. Raises ``InputError`` where no attack was run.
    """
    if not result.setting.attacks:
        raise InputError(
            "the report has no attack, and its gauges make the curve; give at least one, minimal-norm for all radii"
        )
    return Robustness(gauges=tuple(sorted(map(smallest_gauge, result.examples))), radius=result.setting.radius)


def smallest_gauge(example: Example) -> float:
    """The smallest share of the radius that breaks an example: 0 if it is misclassified anyway, infinite if no attack does."""
    if not example.correct:
        return 0.0
    return min((a.gauge for a in example.attempts if _breaks(a)), default=math.inf)


def _breaks(attempt: Attempt) -> bool:
    """True where x + δ is misclassified beyond rounding and δ keeps the hard constraints, inside of the set or not."""
    lost = attempt.margin < 0 and not attempt.within_rounding
    return lost and attempt.violation <= _TOLERANCE and not math.isnan(attempt.gauge)
