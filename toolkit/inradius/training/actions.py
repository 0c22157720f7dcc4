"""The actions that a monitor may ask for after an epoch."""

import math

import attrs

from inradius.errors import PluginError

# the numbers that ``Set`` multiplies
SCHEDULED = ("lr", "radius")


@attrs.frozen
class Stop:
    """The run ends after this epoch."""

    reason: str


@attrs.frozen
class RollBack:
    """Weights, optimiser and memories are put back to where they were before this epoch; then the run ends, or goes on."""

    reason: str
    go_on: bool = False


@attrs.frozen
class Set:
    """From the next epoch on the scheduled ``name``, ``"lr"`` or ``"radius"``, is multiplied by ``factor``."""

    name: str
    factor: float
    reason: str

    def __attrs_post_init__(self) -> None:
        if self.name not in SCHEDULED or not 0 <= self.factor < math.inf:
            raise PluginError(
                f"a monitor asks to multiply {self.name!r} by {self.factor!r}; allowed are 'lr' and 'radius', and finite "
                "factors ≥ 0"
            )


Action = Stop | RollBack | Set
