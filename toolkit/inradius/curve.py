"""The bracket over the radius."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from inradius.data import Dataset
from inradius.evaluate import bracket
from inradius.registry import make
from inradius.report import Report
from inradius.threat import ThreatModel


def bracket_curve(
    model: nn.Module,
    data: Dataset,
    threat: ThreatModel | str,
    factors: Sequence[float],
    *,
    folder: str | Path | None = None,
    **options: Any,
) -> list[Report]:
    """One report for each factor of the radius, in the order given; ``inradius.report.plot_curve`` draws them.

    ``options`` are those of ``bracket``; ``folder`` gets a run folder for each factor.
    """
    the_set = make(threat, ThreatModel)
    folders = [None if folder is None else Path(folder) / f"factor-{factor:g}" for factor in factors]
    return [
        bracket(model, data, the_set.scaled(factor), folder=place, **options)
        for factor, place in zip(factors, folders, strict=True)
    ]
