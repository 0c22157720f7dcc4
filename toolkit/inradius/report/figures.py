"""Figures of a bracket; matplotlib is imported here, and this module only where a figure is asked for."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inradius.bracketing.result import BracketResult
from inradius.bracketing.summary import by_class, shares_of_class
from inradius.errors import InputError, UnsupportedError
from inradius.report.words import COLOURS, WORDS
from inradius.stored.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Place = tuple[float, float]


def plot_curve(
    results: Sequence[BracketResult], radii: Sequence[float] | None = None, *, path: str | Path | None = None
) -> "Figure":
    """The bracket over the radius: certified and attacked accuracy with the gap shaded, and the clean accuracy.

    ``radii`` (default: each set's ``eps``) are the places on the axis; ``path`` is a .png, .svg or .pdf file to write.
    """
    places = _radii(results, radii)
    points = sorted(zip(places, results, strict=True), key=lambda point: point[0])
    at = [place for place, _ in points]
    lower, upper, clean = ([getattr(r, name) for _, r in points] for name in ("lower", "upper", "clean"))
    figure = blank(6.4, 4.0)
    axes = figure.add_subplot()
    axes.plot(at, clean, color="0.55", linestyle=":", label="clean accuracy")
    axes.fill_between(at, lower, upper, color=COLOURS["undecided"], alpha=0.35, linewidth=0, label="not decided")
    axes.plot(at, upper, color=COLOURS["attacked"], marker="o", markersize=4, label="accuracy under attack")
    axes.plot(at, lower, color=COLOURS["certified"], marker="o", markersize=4, label="certified accuracy")
    axes.set(xlabel="radius ε" if radii is None else "radius", ylabel="share of examples", ylim=(-0.02, 1.02))
    return _finished(figure, axes, path)


def plot_steps(
    at: Sequence[float],
    value: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    xlabel: str,
    *,
    path: str | Path | None = None,
) -> "Figure":
    """An accuracy that falls in steps at the places ``at``, with its 95 % intervals."""
    low, high = zip(*intervals, strict=True)
    figure = blank(6.4, 4.0)
    axes = figure.add_subplot()
    axes.fill_between(
        at, low, high, step="post", color=COLOURS["attacked"], alpha=0.2, linewidth=0, label="95 % interval"
    )
    axes.step(at, value, where="post", color=COLOURS["attacked"], label="accuracy under attack")
    axes.set(xlabel=xlabel, ylabel="share of examples", ylim=(-0.02, 1.02))
    return _finished(figure, axes, path)


def plot_fronts(
    lines: Mapping[str, tuple[Sequence[Place], Sequence[Place]]], *, path: str | Path | None = None
) -> "Figure":
    """Certified over clean accuracy: for each name its points, and a line through the best of them."""
    figure = blank(6.4, 4.4)
    axes = figure.add_subplot()
    for place, (name, (points, best)) in enumerate(lines.items()):
        colour, marker = f"C{place}", "osD^vP*X"[place % 8]
        for at, style in ((points, {"linestyle": "none", "alpha": 0.4}), (best, {"label": name})):
            clean, certified = zip(*at, strict=True)
            axes.plot(clean, certified, color=colour, marker=marker, markersize=5, **style)
    axes.set(xlabel="clean accuracy", ylabel="certified accuracy")
    return _finished(figure, axes, path)


def _radii(results: Sequence[BracketResult], radii: Sequence[float] | None) -> list[float]:
    found = list(radii) if radii is not None else [result.setting.radius for result in results]
    if not results or len(found) != len(results) or None in found:
        raise InputError(
            f"{len(results)} reports cannot be placed on an axis of radii {found}; "
            "allowed is at least one report, and radii= with one number each where the set has no eps"
        )
    return [float(place) for place in found if place is not None]


def plot_classes(result: BracketResult) -> "Figure":
    """A bar for each class with the shares of its examples: certified, undecided, attacked, wrong."""
    groups = by_class(result.examples)
    figure = blank(6.4, 1.4 + 0.28 * len(groups))
    axes = figure.add_subplot()
    left = [0.0] * len(groups)
    for status in ("certified", "undecided", "attacked", "wrong"):
        shares = [shares_of_class(group)[status] for group in groups]
        axes.barh(range(len(groups)), shares, left=left, color=COLOURS[status], label=WORDS[status], height=0.8)
        left = [before + share for before, share in zip(left, shares, strict=True)]
    axes.set_yticks(range(len(groups)), [str(group["label"]) for group in groups])
    axes.set(xlim=(0, 1), ylabel="class", xlabel="share of examples")
    axes.set_title(f"{result.lower:.1%} certified ≤ robust ≤ {result.upper:.1%} under attack", fontsize=11)
    axes.invert_yaxis()
    _finish(axes)
    axes.legend(frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.7 / (0.5 + 0.28 * len(groups))))
    return figure


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


def _finished(figure: "Figure", axes: Any, path: str | Path | None) -> "Figure":
    """The figure with a grid and a legend, written to ``path`` where one is given."""
    _finish(axes)
    axes.legend(frameon=False)
    if path is not None:
        write_atomic(Path(path), draw(figure, Path(path).suffix.lstrip(".") or "png"))
    return figure


def _finish(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="both", alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
