"""A reproduced table as Markdown."""

from collections.abc import Iterator, Sequence

from inradius.reproduction.reproduced import Reproduced, common
from inradius.reproduction.table import Printed, Row

NONE = "–"


def to_markdown(found: Reproduced) -> str:
    """The table, each cell with the paper's number and ours; then what differs in the setting, and remarks."""
    return "\n".join(_lines(found)) + "\n"


def cell(found: Reproduced, row: Row, column: str) -> tuple[str, str]:
    """The paper's number, and ours with its deviation."""
    printed, ours = row.printed.get(column), found.ours(row, column)
    return _number(printed), NONE if ours is None else _number(Printed(*ours))


def _lines(found: Reproduced) -> Iterator[str]:
    table = found.table
    names = [column.name for column in table.columns]
    yield f"**{table.title}** ({table.place or table.source}), scale {table.scale}, {_seeds(found)}."
    yield ""
    yield "In each cell stands the paper's number, and after the stroke ours, with the deviation over the seeds."
    yield ""
    yield from _table(
        ["", *names], [[row.name, *(" / ".join(cell(found, row, name)) for name in names)] for row in table.rows]
    )
    if table.claim:
        yield ""
        yield f"The paper's claim: {table.claim}"
    yield from _differences(found)
    if remarks := found.remarks():
        yield ""
        yield from (f"- {one}" for one in remarks)


def _differences(found: Reproduced) -> Iterator[str]:
    rows = [row.name for row in found.table.rows]
    lines = []
    for key, pairs in found.differences().items():
        shared = common(pairs, rows)
        if shared is not None:
            lines.append([key, *(f"`{value}`" for value in shared)])
            continue
        for pair in sorted({tuple(pair) for pair in pairs.values()}):
            having = [name for name in rows if tuple(pairs.get(name, ())) == pair]
            lines.append([f"{key} ({', '.join(having)})", *(f"`{value}`" for value in pair)])
    if lines:
        yield ""
        yield from _table(["setting", "the paper", "here"], lines)


def _seeds(found: Reproduced) -> str:
    count = max((len(records) for records in found.records.values()), default=0)
    return "one seed" if count == 1 else f"{count} seeds"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for line in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(one.replace('|', chr(92) + '|') for one in line)} |"


def _number(value: Printed | None) -> str:
    if value is None:
        return NONE
    return f"{value.value:.4g}" if value.deviation is None else f"{value.value:.4g} ± {value.deviation:.2g}"
