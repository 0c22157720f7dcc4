"""A progress bar for each stage, or none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]
Begin = Callable[[str, int], Advance]


@contextmanager
def bars(shown: bool) -> Iterator[Begin]:
    """``begin(title, total)`` opens a bar and gives the function that moves it on; nothing is drawn unless ``shown``."""
    if not shown:
        yield lambda title, total: lambda count: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:

        def begin(title: str, total: int) -> Advance:
            task = progress.add_task(title, total=total)
            return lambda count: progress.advance(task, count)

        yield begin
