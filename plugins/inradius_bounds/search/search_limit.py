"""The limit of a search: the time at which it ends, and the count of domains."""

import time

import attrs

from inradius_bounds.search.outcome import Outcome
from inradius_bounds.search.search_settings import SearchSettings


@attrs.frozen
class SearchLimit:
    """Ends a search at ``end``, in seconds of the monotonic clock, or after ``domains`` of them; None for no limit."""

    end: float | None = None
    domains: int | None = None

    @classmethod
    def of(cls, settings: SearchSettings) -> "SearchLimit":
        """The limit of a search that begins now."""
        end = None if settings.seconds is None else time.monotonic() + settings.seconds
        return cls(end, settings.domains)

    @property
    def over(self) -> bool:
        """True where the time is spent."""
        return self.end is not None and time.monotonic() >= self.end

    def reached(self, found: Outcome) -> bool:
        """True where a search with this outcome so far ends."""
        return self.over or (self.domains is not None and found.visited >= self.domains)

    def beyond(self, found: Outcome) -> "SearchLimit":
        """The limit of a search that goes on from this outcome; domains before do not count."""
        return self if self.domains is None else SearchLimit(self.end, self.domains + found.visited)

    def after(self, found: Outcome, most: int) -> "SearchLimit":
        """The limit of a further search behind one with this outcome, with at most ``most`` domains."""
        left = most if self.domains is None else min(most, max(self.domains - found.visited, 0))
        return SearchLimit(self.end, left)


UNLIMITED = SearchLimit()
