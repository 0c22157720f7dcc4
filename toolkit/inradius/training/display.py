"""The progress bar of a run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Display = Callable[[float, str], None]


def silent(share: float, line: str) -> None:
    """Shows nothing."""


@contextmanager
def progress_bar(shown: bool) -> Iterator[Display]:
    """A function that is told the share of the run that is done and a line on where it stands."""
    if not shown:
        yield silent
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn()) as bar:
        task = bar.add_task("training", total=1.0)
        yield lambda share, line: bar.update(task, completed=share, description=line)
