"""``reproduce``: the rows of a paper's table, run, and the table beside ours."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from inradius.errors import SpecError
from inradius.processes import Processes
from inradius.reproduction.cell import RUN, Cell, cells
from inradius.reproduction.markdown import to_markdown
from inradius.reproduction.reproduced import Reproduced
from inradius.reproduction.table import Table
from inradius.stored.checksum import sealed_json
from inradius.stored.files import as_folder, writable_folder, write_atomic
from inradius.stored.listing import clear
from inradius.stored.lock import locked
from inradius.stored.shared_work import shared

JSON, MARKDOWN = "table.json", "table.md"
Told = Callable[[int, int, dict[str, Any]], None]


def reproduce(
    table: str | Table,
    *,
    folder: str | Path,
    scale: str = "small",
    seeds: int | None = None,
    rows: list[str] | None = None,
    data_folder: str | Path | None = None,
    device: torch.device | None = None,
    fresh: bool = False,
    told: Told | None = None,
) -> Reproduced:
    """The table with the numbers of our runs beside the paper's, also written to ``folder`` as JSON and as Markdown.

    Each row is trained with the seeds 0, 1, ...: ``seeds`` of them, by default as many as the table asks for. ``folder`` keeps
    every training and every number; the same call goes on where it was stopped, and ``fresh`` begins anew. Processes that ask
    for the same table in the same folder share the trainings, whether a launcher started them or a shell did: each training is
    one process's. ``data_folder`` holds the data files of a paper's scale, ``rows`` are the names of those to run, and
    ``told(done, all, record)`` is called after each training. Raises ``SpecError`` and ``InputError`` for a table, data or a
    folder that cannot serve.
    """
    chosen = table if isinstance(table, Table) else Table.of(table, scale, data_folder)
    chosen = chosen.only(rows or [])
    count = chosen.seeds if seeds is None else seeds
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise SpecError(f"seeds={seeds!r} is not allowed; allowed is an integer ≥ 1")
    home = writable_folder(as_folder(folder))
    asked = cells(chosen.rows, chosen.columns, count, home, device)
    work = {cell.place: cell for cell in asked}
    if fresh:
        Processes("cpu", torch.device("cpu")).on_main(partial(_clear, asked))
    records = {}
    for done, (place, record) in enumerate(shared({place: cell.found for place, cell in work.items()}), 1):
        records[place] = record
        if told is not None:
            told(done, len(work), record)
    found = Reproduced(chosen, {row.name: [records[c.place] for c in asked if c.row == row] for row in chosen.rows})
    write_atomic(home / JSON, sealed_json(found.to_json(), indent=1))
    write_atomic(home / MARKDOWN, to_markdown(found).encode())
    return found


def _clear(asked: list[Cell]) -> None:
    """Deletes the records and the trainings of these cells, none of which another process may be at work on."""
    for cell in asked:
        folder = cell.place.parent
        if folder.exists():
            with locked(folder):
                cell.place.unlink(missing_ok=True)
                if (folder / RUN).exists():
                    clear(folder / RUN)
