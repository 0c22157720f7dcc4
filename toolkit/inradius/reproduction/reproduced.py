"""The result of a table: the paper's numbers beside ours, and the settings in which they differ, as a value."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from inradius._version import __version__
from inradius.reproduction.table import Row, Table

# settings that stand for data files alone, or are told by other entries
_UNTOLD = ("defense", "monitors")
# those of a network that is measured as it is
_MEASURED = ("model", "threat", "evaluated_on")


@attrs.frozen(eq=False)
class Reproduced:
    """A table with the records of its cells, by row: ``values`` of each seed, and why a training ``failed``."""

    table: Table
    records: Mapping[str, Sequence[Mapping[str, Any]]]

    def ours(self, row: Row, column: str) -> tuple[float, float | None] | None:
        """The mean over the seeds with the deviation (of one seed None); None where every training failed."""
        values = self.values(row, column)
        if not values:
            return None
        return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None

    def values(self, row: Row, column: str) -> list[float]:
        """The number of each seed whose training did not fail."""
        return [record["values"][column] for record in self.records[row.name] if column in record["values"]]

    def differences(self) -> dict[str, dict[str, list[str]]]:
        """The settings in which this run differs from the paper's, and for each its two values by the rows that have them."""
        found: dict[str, dict[str, list[str]]] = {}
        for row in self.table.rows:
            paper, here = row.paper.settings(), row.recipe.settings()
            asked = paper.keys() | here.keys() if row.train else _MEASURED
            for key in asked:
                pair = [_told(paper.get(key)), _told(here.get(key))]
                if key not in _UNTOLD and pair[0] != pair[1]:
                    found.setdefault(key, {})[row.name] = pair
        return dict(sorted(found.items()))

    def remarks(self) -> list[str]:
        """Sentences on differences from the paper that are no settings of this program, and on trainings that failed."""
        told = [*self.table.unlike, *(one for row in self.table.rows for one in row.recipe.unlike)]
        failed = [
            f"{row.name}, seed {record['seed']}: {record['failed']}"
            for row in self.table.rows
            for record in self.records[row.name]
            if record["failed"]
        ]
        return [*dict.fromkeys(told), *failed]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        table = self.table
        return {
            "table": table.name,
            "title": table.title,
            "source": table.source,
            "place": table.place,
            "claim": table.claim,
            "scale": table.scale,
            "seeds": max((len(found) for found in self.records.values()), default=0),
            "inradius": __version__,
            "columns": [column.name for column in table.columns],
            "rows": [self._row(row) for row in table.rows],
            "differences": self.differences(),
            "remarks": self.remarks(),
        }

    def _row(self, row: Row) -> dict[str, Any]:
        numbers = {}
        for column in self.table.columns:
            printed, ours = row.printed.get(column.name), self.ours(row, column.name)
            numbers[column.name] = {
                "paper": None if printed is None else attrs.asdict(printed),
                "ours": None if ours is None else {"mean": ours[0], "deviation": ours[1]},
                "values": self.values(row, column.name),
            }
        return {"name": row.name, "recipe": row.recipe.name, "defense": row.recipe.defense, "numbers": numbers}


def common(pairs: Mapping[str, Sequence[str]], rows: Iterable[str]) -> Sequence[str] | None:
    """The pair of values that all rows share; None where they differ."""
    distinct = {tuple(pairs[row]) if row in pairs else None for row in rows}
    return next(iter(distinct)) if len(distinct) == 1 else None


def _told(value: Any) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
