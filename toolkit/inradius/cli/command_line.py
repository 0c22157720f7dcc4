"""The command line that asks the same question again."""

import shlex
from collections.abc import Iterator, Mapping

from inradius.bracketing.options import BracketOptions
from inradius.components.component import Component

# the options of a bracket that the commands have, beside what they share
_SHARED = ("outcome", "attacks", "certifiers", "device", "batch_size", "seed", "exhaustive", "time")
_OWN = {
    "bracket": ("union", "optimize_model", "votes", "audit", "accept_solver", "claim"),
    "attack": ("optimize_model", "votes"),
    "certify": ("union", "accept_solver", "claim"),
}
_NAMES = {"attacks": "--attack", "certifiers": "--certifier"}


def command_line(command: str, given: Mapping[str, object], options: BracketOptions) -> str:
    """A command with everything that determines its answer, in full; the folder and what is printed are left out.

    given: model, weights, data, count and threat as they were given; options: those of the run, with its methods.
    """
    asked = {**given, **{name: getattr(options, name) for name in (*_SHARED, *_OWN[command])}}
    return shlex.join(["inradius", command, *(word for name, value in asked.items() for word in _words(name, value))])


def _words(name: str, value: object) -> Iterator[str]:
    option = _NAMES.get(name, f"--{name.replace('_', '-')}")
    if isinstance(value, bool):
        # exhaustive alone has a negation; another one is off where it is left out
        if value or name == "exhaustive":
            yield option if value else f"--no-{name}"
    elif isinstance(value, tuple):
        for each in value:
            yield from (option, each.spec(full=True))
    elif value is not None:
        yield from (option, value.spec(full=True) if isinstance(value, Component) else str(value))
