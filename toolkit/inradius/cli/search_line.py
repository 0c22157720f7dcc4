"""A line on a terminal that shows how far a search is."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import attrs

from inradius.certifiers.search_progress import SearchProgress, listening

# seconds between two lines, and what clears a line
_EVERY, _CLEAR = 0.25, "\r\x1b[K"


@attrs.define
class SearchLine:
    """The line of searches that began at ``start``, in seconds of the monotonic clock."""

    out: TextIO
    start: float = attrs.field(factory=time.monotonic)
    _last: float = -float("inf")

    def __call__(self, progress: SearchProgress) -> None:
        """Draws the line again, a few times a second at most."""
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            parts = f"{progress.visited} parts of the set bounded, {progress.open} open"
            print(f"{_CLEAR}{now - self.start:.0f} s: {parts}", end="", file=self.out, flush=True)

    def clear(self) -> None:
        """Removes the line."""
        if self._last > -float("inf"):
            print(_CLEAR, end="", file=self.out, flush=True)


@contextmanager
def search_line() -> Iterator[None]:
    """A context in which searches show a line on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    line = SearchLine(sys.stderr)
    try:
        with listening(line):
            yield
    finally:
        line.clear()
