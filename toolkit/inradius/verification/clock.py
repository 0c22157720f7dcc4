"""The time that a verification has."""

import time

import attrs


@attrs.frozen(eq=False)
class Clock:
    """A limit of ``seconds`` that runs from ``started``."""

    seconds: float
    started: float = attrs.field(factory=time.monotonic)

    @property
    def spent(self) -> float:
        """The seconds since the start."""
        return time.monotonic() - self.started

    @property
    def left(self) -> float:
        """The seconds that are left, at least 0."""
        return max(0.0, self.seconds - self.spent)

    @property
    def over(self) -> bool:
        """True once no time is left."""
        return self.left == 0

    def share(self, parts: int) -> "Clock":
        """A clock of its own for one of so many parts of the time that is left."""
        return Clock(self.left / max(1, parts))
