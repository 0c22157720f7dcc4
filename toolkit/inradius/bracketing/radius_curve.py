"""The bracket over the radius."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from inradius.bracketing.bracket import bracket_by
from inradius.bracketing.example import Verdict
from inradius.bracketing.nesting import nested
from inradius.bracketing.options import BracketOptions
from inradius.bracketing.result import BracketResult
from inradius.bracketing.reuse import ReusedResults
from inradius.components.registry import make
from inradius.data.dataset import Examples
from inradius.report.report import Report
from inradius.sets.threat_model import ThreatModel

# a few examples, because the gauge of a transport ball is slow
_SHOWN = 8


def bracket_curve(
    model: nn.Module,
    data: Examples,
    threat: ThreatModel | str,
    factors: Sequence[float],
    *,
    folder: str | Path | None = None,
    reuse: bool = True,
    reports: Mapping[float, Report] | None = None,
    **options: Any,
) -> list[Report]:
    """One report for each factor of the radius, in the order given; ``inradius.report.plot_curve`` draws them.

    A result of one radius is used at the others. A perturbation that succeeds at a smaller radius is judged again at a larger
    one, and counts where it is a member and still succeeds; a certificate over a larger set holds for a smaller one within
    it. The radii are taken by bisection, so that an example is decided at about log₂ of their number. Certificates are reused
    on the condition that the sets grow with the radius: points of the smaller set are looked up in the larger one, and where
    one lies outside no certificate is reused. ``reuse=False`` and ``exhaustive=True`` run each radius by itself.

    ``reports`` are finished reports, by factor. ``options`` are those of ``bracket``; ``folder`` gets a run folder for each
    factor.
    """
    return curve_by(
        BracketOptions(folder=folder, **options), model, data, threat, factors, reuse=reuse, reports=reports
    )


def curve_by(
    options: BracketOptions,
    model: nn.Module,
    data: Examples,
    threat: ThreatModel | str,
    factors: Sequence[float],
    *,
    reuse: bool = True,
    reports: Mapping[float, Report] | None = None,
) -> list[Report]:
    """The reports of ``bracket_curve`` by a value of options."""
    the_set = make(threat, ThreatModel)
    solved = dict(reports or {})
    for factor in _bisection([factor for factor in factors if factor not in solved], solved):
        reused = _reusable(the_set, data, factor, solved) if reuse and not options.exhaustive else None
        folder = None if options.folder is None else options.folder / f"factor-{factor:g}"
        here = attrs.evolve(options, folder=folder)
        solved[factor] = bracket_by(here, model, data, the_set.scaled(factor), reused)
    return [solved[factor] for factor in factors]


def _bisection(factors: Sequence[float], finished: Iterable[float]) -> Iterator[float]:
    """The factors in an order that halves the open range each time, between those that are finished."""
    cuts = sorted(finished)
    groups: dict[int, list[float]] = {}
    for factor in sorted(set(factors)):
        groups.setdefault(sum(cut < factor for cut in cuts), []).append(factor)
    queue = list(groups.values())
    while queue:
        group = queue.pop(0)
        middle = len(group) // 2
        yield group[middle]
        queue += [half for half in (group[:middle], group[middle + 1 :]) if half]


def _reusable(threat: ThreatModel, data: Examples, factor: float, solved: Mapping[float, Report]) -> ReusedResults:
    """The broken examples of all smaller radii, and the certified ones of the next larger radius."""
    broken: dict[int, tuple[str, Tensor]] = {}
    for smaller in sorted(other for other in solved if other < factor):
        broken |= _broken(solved[smaller])
    larger = min((other for other in solved if other > factor), default=None)
    if larger is None or not _grows(threat, data, factor, larger):
        return ReusedResults(broken)
    return ReusedResults(broken, _certified(solved[larger]))


def _grows(threat: ThreatModel, data: Examples, factor: float, larger: float) -> bool:
    """True where the set at one factor lies within the set at a larger one, on a few examples of the data."""
    shown = data.select(torch.arange(min(len(data.labels), _SHOWN), device=data.labels.device))
    return nested(threat.scaled(factor), threat.scaled(larger), shown)


def _broken(result: BracketResult) -> dict[int, tuple[str, Tensor]]:
    return {
        example.row: (example.attacked_by, result.deltas[example.row])
        for example in result.examples
        if example.status == "attacked" and example.attacked_by is not None
    }


def _certified(result: BracketResult) -> dict[int, Verdict]:
    return {
        example.row: example.verdict
        for example in result.examples
        if example.status == "certified" and example.verdict is not None
    }
