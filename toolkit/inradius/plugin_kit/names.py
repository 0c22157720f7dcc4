"""The names of a new plugin, made of that of its distribution."""

import importlib.util
import keyword
import re

import attrs

from inradius.components.registry import entries
from inradius.errors import SpecError

# parts that begin with a letter, so that the name of a class and the spec name say the same
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z][a-z0-9]*)*")


@attrs.frozen
class Names:
    """The names of a plugin: of its distribution, and of its module."""

    distribution: str
    module: str

    def spec(self, part: str | None) -> str:
        """The spec name of its component; with several of them the kind is its end."""
        return self.module if part is None else f"{self.module}_{part}"

    def cls(self, part: str | None) -> str:
        """The class of its component."""
        return "".join(word.capitalize() for word in self.spec(part).split("_"))


def names_of(name: str) -> Names:
    """The names of a distribution. Raises ``SpecError`` for a name that is malformed, or that something installed has."""
    if not _NAME.fullmatch(name):
        raise SpecError(
            f"{name!r} is not a name for a plugin; allowed are small letters and digits in parts that begin with a letter, "
            "joined by - or _, as in acme-tint"
        )
    made = Names(name.replace("_", "-"), name.replace("-", "_"))
    if keyword.iskeyword(made.module):
        raise SpecError(f"{name!r} is a word of Python's; give another name, as in acme-{name}")
    if importlib.util.find_spec(made.module) is not None:
        raise SpecError(
            f"a module {made.module!r} is installed already; give another name, as in acme-{made.distribution}"
        )
    return made


def check_free(spec: str) -> None:
    """Raises ``SpecError`` where a component has this name."""
    if spec in entries():
        raise SpecError(
            f"{spec!r} is the name of a component of {entries()[spec].origin}; give another name, as in acme-{spec}"
        )
