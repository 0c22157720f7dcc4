"""Figures of a bracket; matplotlib is imported here, and this module only where a figure is asked for."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inradius.errors import InputError, UnsupportedError
from inradius.report.palette import COLOURS, WORDS
from inradius.report.tables import by_class
from inradius.stored.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from inradius.report.report import Report
    from inradius.report.robustness import Robustness


def plot_curve(
    reports: "Sequence[Report]", radii: Sequence[float] | None = None, *, path: str | Path | None = None
) -> "Figure":
    """The bracket over the radius: certified and attacked accuracy with the gap shaded, and the clean accuracy.

    ``radii`` (default: each set's ``eps``) are the places on the axis; ``path`` is a .png, .svg or .pdf file to write.
    """
    places = _radii(reports, radii)
    points = sorted(zip(places, reports, strict=True), key=lambda point: point[0])
    at = [place for place, _ in points]
    lower, upper, clean = ([getattr(r, name) for _, r in points] for name in ("lower", "upper", "clean"))
    figure = blank(6.4, 4.0)
    axes = figure.add_subplot()
    axes.plot(at, clean, color="0.55", linestyle=":", label="clean accuracy")
    axes.fill_between(at, lower, upper, color=COLOURS["undecided"], alpha=0.35, linewidth=0, label="not decided")
    axes.plot(at, upper, color=COLOURS["attacked"], marker="o", markersize=4, label="accuracy under attack")
    axes.plot(at, lower, color=COLOURS["certified"], marker="o", markersize=4, label="certified accuracy")
    axes.set(xlabel="radius ε" if radii is None else "radius", ylabel="share of examples", ylim=(-0.02, 1.02))
    _finish(axes)
    axes.legend(frameon=False)
    if path is not None:
        write_atomic(Path(path), draw(figure, Path(path).suffix.lstrip(".") or "png"))
    return figure


def plot_robustness(curve: "Robustness", *, path: str | Path | None = None) -> "Figure":
    """The accuracy under attack over the radius, as steps, with its 95 % interval."""
    factors = curve.steps
    unit = 1.0 if curve.radius is None or curve.radius <= 0 else curve.radius
    # the last step is seen a little longer
    at = [unit * factor for factor in (*factors, 1.05 * factors[-1] or 1.0)]
    value = [curve.at(factor) for factor in (*factors, factors[-1])]
    low, high = zip(*(curve.interval(factor) for factor in (*factors, factors[-1])), strict=True)
    figure = blank(6.4, 4.0)
    axes = figure.add_subplot()
    axes.fill_between(
        at, low, high, step="post", color=COLOURS["attacked"], alpha=0.2, linewidth=0, label="95 % interval"
    )
    axes.step(at, value, where="post", color=COLOURS["attacked"], label="accuracy under attack")
    axes.set(xlabel="radius ε" if curve.radius else "times the radius", ylabel="share of examples", ylim=(-0.02, 1.02))
    _finish(axes)
    axes.legend(frameon=False)
    if path is not None:
        write_atomic(Path(path), draw(figure, Path(path).suffix.lstrip(".") or "png"))
    return figure


def _radii(reports: "Sequence[Report]", radii: Sequence[float] | None) -> list[float]:
    found = list(radii) if radii is not None else [report.setting.radius for report in reports]
    if not reports or len(found) != len(reports) or None in found:
        raise InputError(
            f"{len(reports)} reports cannot be placed on an axis of radii {found}; "
            "allowed is at least one report, and radii= with one number each where the set has no eps"
        )
    return [float(place) for place in found if place is not None]


def plot_report(report: "Report") -> "Figure":
    """How the examples of each class ended: certified, undecided, attacked, wrong."""
    groups = by_class(report.examples)
    figure = blank(6.4, 1.4 + 0.28 * len(groups))
    axes = figure.add_subplot()
    left = [0.0] * len(groups)
    for status in ("certified", "undecided", "attacked", "wrong"):
        shares = [_share(group, status) for group in groups]
        axes.barh(range(len(groups)), shares, left=left, color=COLOURS[status], label=WORDS[status], height=0.8)
        left = [before + share for before, share in zip(left, shares, strict=True)]
    axes.set_yticks(range(len(groups)), [str(group["label"]) for group in groups])
    axes.set(xlim=(0, 1), ylabel="class", xlabel="share of examples")
    axes.set_title(f"{report.lower:.1%} certified ≤ robust ≤ {report.upper:.1%} under attack", fontsize=11)
    axes.invert_yaxis()
    _finish(axes)
    axes.legend(frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.7 / (0.5 + 0.28 * len(groups))))
    return figure


def _share(group: dict[str, Any], status: str) -> float:
    """A status as a share of the class; what is within rounding counts as undecided."""
    shares: dict[str, float] = {
        "certified": group["lower"],
        "undecided": group["upper"] - group["lower"],
        "attacked": group["clean"] - group["upper"],
        "wrong": 1 - group["clean"],
    }
    return shares[status]


def draw(figure: "Figure", kind: str) -> bytes:
    """The figure as a file's content; equal figures give equal bytes."""
    from matplotlib import rc_context

    content = io.BytesIO()
    with rc_context({"svg.hashsalt": "inradius"}):
        figure.savefig(content, format=kind, metadata={"Date": None} if kind == "svg" else None, bbox_inches="tight")
    return content.getvalue()


def blank(width: float, height: float) -> "Figure":
    """A figure without axes; raises ``UnsupportedError`` where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UnsupportedError("figures need matplotlib, which is not installed; pip install matplotlib") from error
    # a Figure of one's own: pyplot would keep it, and choose a window system
    return Figure(figsize=(width, height), dpi=150)


def _finish(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="both", alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
