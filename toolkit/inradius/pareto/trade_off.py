"""A trade-off as a value: its points, the front and the area of each method, as a table, a file and a figure."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import attrs

from inradius.pareto.point import Point, front, hypervolume, mean_and_deviation
from inradius.stored.checksum import sealed_json
from inradius.stored.files import write_atomic
from inradius.stored.reading import record

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@attrs.frozen(kw_only=True)
class TradeOff:
    """The points of a trade-off, and the question that they answer."""

    points: tuple[Point, ...]
    setting: dict[str, Any]

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods, in the order in which they were asked for."""
        return tuple(dict.fromkeys(point.method for point in self.points))

    def front(self, method: str | None = None) -> list[Point]:
        """The points that no other one of the method, or of all, dominates, over all seeds, the least accurate first."""
        return front(self._of(method))

    def hypervolume(self, method: str | None = None) -> tuple[float, float]:
        """The area that a method dominates (clean × certified), or all methods do: its mean over seeds, and its deviation."""
        points = self._of(method)
        seeds = sorted({point.seed for point in points})
        return mean_and_deviation([hypervolume(point for point in points if point.seed == seed) for seed in seeds])

    def at_clean(self, clean: float, tolerance: float = 0.005) -> Point | None:
        """The point that is certified most often among those whose clean accuracy is at least ``clean`` less a tolerance."""
        found = [point for point in self.points if point.clean >= clean - tolerance]
        return max(found, key=lambda point: point.certified, default=None)

    def _of(self, method: str | None) -> list[Point]:
        return [point for point in self.points if method is None or point.method == method]

    def save(self, path: str | Path) -> None:
        """Writes the points and the question as JSON."""
        held = {"setting": self.setting, "points": [attrs.asdict(point) for point in self.points]}
        areas = {name: dict(zip(("mean", "deviation"), self.hypervolume(name), strict=True)) for name in self.methods}
        write_atomic(Path(path), sealed_json({**held, "hypervolume": areas}, indent=1))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The trade-off of a file. Raises ``InputError`` where it is missing or damaged."""
        held = record(Path(path))
        return cls(points=tuple(Point(**each) for each in held["points"]), setting=held["setting"])

    def to_markdown(self) -> str:
        """A table of the points, those of the front of their method marked, and the area of each method."""
        chosen = {point for name in self.methods for point in self.front(name)}
        rows = [
            "| method | dial | radius | seed | clean | certified | front |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for each in self.points:
            mark = "✓" if each in chosen else ""
            shares = f"{each.clean:.1%} | {each.certified:.1%}"
            rows.append(f"| `{each.method}` | {each.dial:g} | × {each.scale:g} | {each.seed} | {shares} | {mark} |")
        rows += ["", "| method | area of clean × certified | seeds |", "| --- | --- | --- |"]
        for name in self.methods:
            mean, deviation = self.hypervolume(name)
            seeds = len({point.seed for point in self._of(name)})
            told = f"{mean:.4f} ± {deviation:.4f}" if seeds > 1 else f"{mean:.4f}"
            rows.append(f"| `{name}` | {told} | {seeds} |")
        return "\n".join(rows)

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Certified over clean accuracy, with a line through the front of each method; ``path`` is a .png, .svg or .pdf file.

        Raises ``UnsupportedError`` where matplotlib is not installed.
        """
        from inradius.report.figures import plot_fronts

        named = {name: ([(p.clean, p.certified) for p in self._of(name)], self.front(name)) for name in self.methods}
        lines = {name: (at, [(p.clean, p.certified) for p in best]) for name, (at, best) in named.items()}
        return plot_fronts(lines, path=path)
