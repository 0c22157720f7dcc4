"""The memories of components, which last from step to step and are saved with the run."""

from typing import Any

from torch import Tensor

from inradius.components.component import Component
from inradius.errors import InputError, PluginError
from inradius.processes import Processes

# types that a state file gives back unchanged
_PLAIN = (type(None), bool, int, float, str)


class Memories:
    """A dict for each component, since components themselves never change. Equal components share one."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}

    def of(self, component: Component) -> dict[str, Any]:
        """The dict of this component, at first empty."""
        return self._known.setdefault(component.spec(full=True), {})

    def state(self, processes: Processes) -> list[dict[str, dict[str, Any]]]:
        """The memories of every process; raises ``PluginError`` for a value that a file would not give back."""
        for component, kept in self._known.items():
            for name, value in kept.items():
                _check(value, f"{component} keeps {name!r}")
        return processes.gather_objects(self._known)

    def load(self, state: list[dict[str, dict[str, Any]]], processes: Processes) -> None:
        """This process's part of what ``state`` gave."""
        if len(state) != processes.count and any(state):
            raise InputError(
                f"this run was stopped with {len(state)} processes, each of which keeps something, and there are "
                f"{processes.count}; give as many as before"
            )
        self._known = state[processes.rank] if len(state) == processes.count else {}


def _check(value: object, where: str) -> None:
    if isinstance(value, Tensor):
        if value.requires_grad:
            raise PluginError(f"{where}, a tensor that asks for a gradient; allowed are detached ones")
    elif type(value) in (list, tuple):
        for item in value:  # type: ignore[attr-defined]
            _check(item, where)
    elif type(value) is dict:
        for key, item in value.items():
            _check(key, where)
            _check(item, where)
    elif type(value) not in _PLAIN:
        raise PluginError(
            f"{where}, {type(value).__name__}; allowed are numbers, strings, tensors, and lists and dicts of them"
        )
