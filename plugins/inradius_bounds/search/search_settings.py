"""The limits of a search."""

import attrs


@attrs.frozen
class SearchSettings:
    """The limits of a search; see ``BranchAndBound``."""

    seconds: float | None
    tolerance: float
    steps: int
    memory: float | None
    domains: int | None = None
