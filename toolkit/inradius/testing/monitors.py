"""Laws of monitors, one function each; ``LAWS`` lists them all. Each trains a tiny network on a few examples."""

from typing import get_args

import attrs
from torch import nn

from inradius.sets.threat_model import ThreatModel
from inradius.testing.components import spec_round_trip
from inradius.testing.small_runs import RUN_LAWS, RunCase, ended, equal
from inradius.training.actions import Action
from inradius.training.slots import Monitor
from inradius.training.state import RunState


@attrs.frozen(kw_only=True)
class _Overheard(Monitor):
    """A monitor whose answers are checked, and kept to itself."""

    inner: Monitor

    def after_epoch(self, model: nn.Module, threat: ThreatModel, run: RunState) -> list[Action]:
        training = model.training
        asked = self.inner.after_epoch(model, threat, run)
        assert isinstance(asked, list), f"the actions are a {type(asked).__name__}; they must be a list"
        assert all(isinstance(each, get_args(Action)) for each in asked), f"{asked} are no actions"
        assert model.training == training, "the monitor left the model in another mode"
        return []

    def recorded(self, run: RunState) -> None:
        # the second call is that of a resumed run
        self.inner.recorded(run)
        self.inner.recorded(run)


def actions_are_actions(monitor: Monitor, case: RunCase) -> None:
    """The answer is a list of actions, the model keeps its mode, and a line that is recorded twice does no harm."""
    ended(case, _Overheard(inner=monitor))


def watching_changes_nothing(monitor: Monitor, case: RunCase) -> None:
    """A run whose monitor asks for nothing, or is not heard, ends with the weights of a run without it, bit for bit."""
    assert equal(ended(case, _Overheard(inner=monitor)), ended(case)), "watched, the run ends with other weights"


LAWS = (spec_round_trip, actions_are_actions, watching_changes_nothing, *RUN_LAWS)
