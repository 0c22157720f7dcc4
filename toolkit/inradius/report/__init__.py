"""The views of a bracket: tables, a page and figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inradius.bracketing.clopper_pearson import clopper_pearson as clopper_pearson
from inradius.bracketing.example import Attempt as Attempt
from inradius.bracketing.example import Example as Example
from inradius.bracketing.example import Status as Status
from inradius.bracketing.example import Verdict as Verdict
from inradius.bracketing.setting import Setting as Setting
from inradius.report.learning import learning_curves as learning_curves
from inradius.report.perturbations import perturbation_figure as perturbation_figure
from inradius.report.report import Report as Report
from inradius.report.robustness import Robustness as Robustness
from inradius.report.robustness import robustness_curve as robustness_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_curve(
    reports: Sequence[Report], radii: Sequence[float] | None = None, *, path: str | Path | None = None
) -> "Figure":
    """The bracket over the radius: certified and attacked accuracy with the gap shaded, and the clean accuracy.

    ``radii`` (default: each set's ``eps``) are the places on the axis; ``path`` is a .png, .svg or .pdf file to write.
    Raises ``UnsupportedError`` where matplotlib is not installed.
    """
    from inradius.report import figures

    return figures.plot_curve(reports, radii, path=path)
