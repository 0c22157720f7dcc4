"""Monitors: they watch a run, and may end it, roll it back or change its course."""

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import attrs
from torch import nn

from inradius.components.component import Component
from inradius.errors import PluginError
from inradius.sets.threat_model import ThreatModel

if TYPE_CHECKING:
    from inradius.training.run import Run


# what ``Set`` multiplies
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


@attrs.frozen(kw_only=True)
class Monitor(Component, ABC):
    """Looks at a run after each epoch: notes numbers by ``run.log``, and may ask for actions.

    What it remembers is kept in ``run.memory(self)``, which is saved with the run.
    """

    @abstractmethod
    def after_epoch(self, model: nn.Module, threat: ThreatModel, run: "Run") -> list[Action]:
        """What is to be done; ``run.epoch`` counts the epochs before this one, ``run.data`` is what is trained on.

        ``model`` has the weights that are trained, which show first what goes wrong; ``run.judged(model)`` is the network that
        is scored and kept, the average of the weights where the recipe asks for one. What is asked for, and why, is kept in
        the run's record.
        """

    def recorded(self, run: "Run") -> None:
        """The last line of ``run.history`` is in the run's files; called after each epoch, and once before the first of a call.

        So it is called again for a line where a run is resumed, and should do nothing the second time.
        """
