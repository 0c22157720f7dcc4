"""A straight line down."""

import attrs

from inradius.slots import Schedule


@attrs.frozen(kw_only=True)
class Linear(Schedule):
    """From 1 to 0 along a straight line."""

    def __call__(self, progress: float) -> float:
        return 1 - progress
