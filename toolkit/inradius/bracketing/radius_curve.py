"""The bracket over the radius."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from inradius.bracketing.bracket import bracket_knowing
from inradius.bracketing.nesting import nested
from inradius.bracketing.reuse import ReusedResults
from inradius.components.registry import make
from inradius.data.dataset import Examples
from inradius.report import Report, Verdict
from inradius.sets.threat_model import ThreatModel

# the gauge of a transport ball takes a while
_SHOWN = 8


def bracket_curve(
    model: nn.Module,
    data: Examples,
    threat: ThreatModel | str,
    factors: Sequence[float],
    *,
    folder: str | Path | None = None,
    reuse: bool = True,
    known: Mapping[float, Report] | None = None,
    **options: Any,
) -> list[Report]:
    """One report for each factor of the radius, in the order given; ``inradius.report.plot_curve`` draws them.

    What one radius decides is not worked out again. A perturbation that fooled the model at a smaller radius is judged at a
    larger one, and counts where it is a member and fools it still; a certificate over a larger set holds for a smaller one
    within it. The radii are taken by bisection, so that an example is decided at about log₂ of their number. That the sets
    grow with the radius is what certificates are reused on: it is looked for on points of the data, and where one sticks out
    no certificate is. ``reuse=False``, and ``exhaustive=True``, work each radius out by itself.

    ``known`` are reports that are there already, by factor. ``options`` are those of ``bracket``; ``folder`` gets a run folder
    for each factor.
    """
    the_set = make(threat, ThreatModel)
    reuse = reuse and not options.get("exhaustive", False)
    solved = dict(known or {})
    for factor in _bisection([factor for factor in factors if factor not in solved], solved):
        told = _told(the_set, data, factor, solved) if reuse else None
        place = None if folder is None else Path(folder) / f"factor-{factor:g}"
        solved[factor] = bracket_knowing(model, data, the_set.scaled(factor), told, folder=place, **options)
    return [solved[factor] for factor in factors]


def _bisection(factors: Sequence[float], known: Mapping[float, Report]) -> Iterator[float]:
    """The factors in an order that halves what is open each time, between those that are known."""
    cuts = sorted(known)
    groups: dict[int, list[float]] = {}
    for factor in sorted(set(factors)):
        groups.setdefault(sum(cut < factor for cut in cuts), []).append(factor)
    queue = list(groups.values())
    while queue:
        group = queue.pop(0)
        middle = len(group) // 2
        yield group[middle]
        queue += [half for half in (group[:middle], group[middle + 1 :]) if half]


def _told(threat: ThreatModel, data: Examples, factor: float, solved: Mapping[float, Report]) -> ReusedResults:
    """What the radii around one tell about it: those below what is broken, the next one above what is certified."""
    broken: dict[int, tuple[str, Tensor]] = {}
    for smaller in sorted(other for other in solved if other < factor):
        broken |= _broken(solved[smaller])
    larger = min((other for other in solved if other > factor), default=None)
    if larger is None or not _grows(threat, data, factor, larger):
        return ReusedResults(broken)
    return ReusedResults(broken, _certified(solved[larger]))


def _grows(threat: ThreatModel, data: Examples, factor: float, larger: float) -> bool:
    """Whether the set at one factor lies within that at a larger one, on a few examples of the data."""
    shown = data.select(torch.arange(min(len(data.labels), _SHOWN), device=data.labels.device))
    return nested(threat.scaled(factor), threat.scaled(larger), shown)


def _broken(report: Report) -> dict[int, tuple[str, Tensor]]:
    return {
        example.row: (example.attacked_by, report.deltas[example.row])
        for example in report.examples
        if example.status == "attacked" and example.attacked_by is not None
    }


def _certified(report: Report) -> dict[int, Verdict]:
    return {
        example.row: example.verdict
        for example in report.examples
        if example.status == "certified" and example.verdict is not None
    }
