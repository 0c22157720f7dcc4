"""Monitors: they watch a run, and may end it, roll it back or change its course."""

from abc import ABC, abstractmethod

import attrs
from torch import nn

from inradius.components.component import Component
from inradius.sets.threat_model import ThreatModel
from inradius.training.actions import Action
from inradius.training.state import RunState


@attrs.frozen(kw_only=True)
class Monitor(Component, ABC):
    """Looks at a run after each epoch: notes numbers by ``run.log``, and may ask for actions.

    Its memory is ``run.memory(self)``, which is saved with the run.
    """

    @abstractmethod
    def after_epoch(self, model: nn.Module, threat: ThreatModel, run: RunState) -> list[Action]:
        """The actions to do; ``run.epoch`` counts the epochs before this one, ``run.data`` holds the training examples.

        ``model`` has the weights that are trained, which show a failure first; ``run.judged(model)`` is the network that
        is scored and kept, the average of the weights where the recipe asks for one. The actions and their reasons are kept in
        the run's record.
        """

    def recorded(self, run: RunState) -> None:
        """The last line of ``run.history`` is in the run's files; called after each epoch, and once before the first of a call.

        So it is called again for a line where a run is resumed, and should do nothing the second time.
        """
