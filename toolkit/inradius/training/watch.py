"""The monitors of a run: they are asked after an epoch, what they want is done, and they are told of the record."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs
from torch import nn

from inradius.errors import PluginError
from inradius.sets.threat_model import ThreatModel
from inradius.training import state
from inradius.training.slots.monitor import Action, RollBack, Set

if TYPE_CHECKING:
    from inradius.training.run import Run


def ask(run: "Run", model: nn.Module, threat: ThreatModel) -> list[Action]:
    """What the monitors want done. Raises ``PluginError`` for an answer that is no list of actions."""
    wanted: list[Action] = []
    for monitor in run.recipe.monitors:
        answer: object = monitor.after_epoch(model, threat, run)
        if not isinstance(answer, list | tuple) or not all(isinstance(action, Action) for action in answer):
            raise PluginError(
                f"{monitor} answered {answer!r} after an epoch; allowed is a list of Stop, RollBack and Set"
            )
        wanted.extend(answer)
    return wanted


def act(run: "Run", actions: Iterable[Action]) -> None:
    """Does what was asked for after an epoch, and notes it."""
    for action in actions:
        run.actions.append({"epoch": run.epoch + 1, "action": type(action).__name__, **attrs.asdict(action)})
        if isinstance(action, Set):
            run.factors[action.name] *= action.factor
            continue
        if isinstance(action, RollBack):
            state.roll_back(run)
            run.history[-1]["rolled_back"] = 1.0
        if not isinstance(action, RollBack) or not action.go_on:
            run.stopped = action.reason


def tell(run: "Run") -> None:
    """The last epoch is in the run's files."""
    for monitor in run.recipe.monitors:
        monitor.recorded(run)
