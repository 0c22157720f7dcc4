"""Progress of searches for proofs, told to whoever listens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import attrs


@attrs.frozen
class SearchProgress:
    """The state of a search: the count of parts of the set that were bounded, and of parts that are open."""

    visited: int
    open: int


Listener = Callable[[SearchProgress], None]

_listener: ContextVar[Listener | None] = ContextVar("inradius_search_progress", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """A context in which searches tell ``listener`` their state after each batch of parts."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(visited: int, left: int) -> None:
    """Tells the state of a search to the listener, if there is one."""
    listener = _listener.get()
    if listener is not None:
        listener(SearchProgress(visited, left))
