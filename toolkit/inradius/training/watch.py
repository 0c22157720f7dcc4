"""The monitors of a run: they are asked after an epoch, their actions are done, and they are told of the record."""

from collections.abc import Iterable

import attrs
from torch import nn

from inradius.errors import PluginError
from inradius.sets.threat_model import ThreatModel
from inradius.training import snapshot
from inradius.training.actions import Action, RollBack, Set
from inradius.training.slots.monitor import Monitor
from inradius.training.state import RunState


def ask(run: RunState, monitors: Iterable[Monitor], model: nn.Module, threat: ThreatModel) -> list[Action]:
    """The actions that the monitors ask for. Raises ``PluginError`` for an answer that is no list of actions."""
    wanted: list[Action] = []
    for monitor in monitors:
        answer: object = monitor.after_epoch(model, threat, run)
        if not isinstance(answer, list | tuple) or not all(isinstance(action, Action) for action in answer):
            raise PluginError(
                f"{monitor} answered {answer!r} after an epoch; allowed is a list of Stop, RollBack and Set"
            )
        wanted.extend(answer)
    return wanted


def act(run: RunState, actions: Iterable[Action]) -> None:
    """Does the actions that were asked for after an epoch, and notes them."""
    for action in actions:
        run.actions.append({"epoch": run.epoch + 1, "action": type(action).__name__, **attrs.asdict(action)})
        if isinstance(action, Set):
            run.factors[action.name] *= action.factor
            continue
        if isinstance(action, RollBack):
            snapshot.roll_back(run)
            run.history[-1]["rolled_back"] = 1.0
        if not isinstance(action, RollBack) or not action.go_on:
            run.stopped = action.reason


def tell(run: RunState, monitors: Iterable[Monitor]) -> None:
    """Tells the monitors that the last epoch is in the run's files."""
    for monitor in monitors:
        monitor.recorded(run)
