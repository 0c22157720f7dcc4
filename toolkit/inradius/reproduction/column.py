"""The columns of a table: what is measured of a trained network, and how."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, get_args

import attrs

from inradius.errors import SpecError
from inradius.recipes.toml_file import check_keys, value_of

Measure = Literal["clean", "attacked", "certified", "epochs", "difference", "seconds"]
Weights = Literal["best", "last"]
# of the epochs' numbers: the largest; the mean of the last few; that at a share of the run; that of the epoch in which another
# number is largest; that of the chosen epoch, or the mean of the last few where none is chosen
Take = Literal["max", "last", "at", "where", "final"]

_KEYS = (
    "name",
    "measure",
    "attack",
    "certifier",
    "threat",
    "weights",
    "key",
    "take",
    "epochs",
    "at",
    "by",
    "of",
    "error",
    "percent",
)


@attrs.frozen(kw_only=True)
class Column:
    """A column: the share of examples that are right, ``clean``, ``attacked`` or ``certified``; a number that the run logs for each
    of its ``epochs``; the ``difference`` of two other columns; or the ``seconds`` of this process's time that another one took.

    ``error`` is one minus the share, and ``percent`` a hundred times it.
    """

    name: str
    measure: Measure
    # the attack or the certifier
    spec: str = ""
    # the set of the attack or the certificate; that of the training where it is empty
    threat: str = ""
    weights: Weights = "best"
    # the name among an epoch's numbers, and which of the numbers count
    key: str = ""
    take: Take = "last"
    epochs: int = 1
    at: float = 1.0
    by: str = ""
    of: tuple[str, ...] = ()
    error: bool = False
    percent: bool = True

    @classmethod
    def read(cls, content: Mapping[str, Any], scale: str, where: str) -> Self:
        """The column that a table in TOML describes; a value may be a table with one for each scale."""
        check_keys(content, _KEYS, where)
        here = {
            key: value[scale] if isinstance(value, dict) and scale in value else value for key, value in content.items()
        }
        measure = _one_of(here, "measure", get_args(Measure), where)
        spec = {"attacked": "attack", "certified": "certifier"}.get(measure)
        count = {"difference": 2, "seconds": 1}.get(measure, 0)
        of = value_of(here, "of", list, where) if count else []
        if len(of) != count:
            raise SpecError(
                f"{where} has of = {of!r}; allowed are the names of {'two columns' if count == 2 else 'one'}"
            )
        return cls(
            name=value_of(here, "name", str, where),
            measure=measure,
            spec=value_of(here, spec, str, where) if spec else "",
            threat=value_of(here, "threat", str, where, ""),
            weights=_one_of(here, "weights", get_args(Weights), where, "best"),
            key=value_of(here, "key", str, where) if measure == "epochs" else "",
            take=_one_of(here, "take", get_args(Take), where, "last"),
            epochs=value_of(here, "epochs", int, where, 1),
            at=value_of(here, "at", float, where, 1.0),
            by=value_of(here, "by", str, where, ""),
            of=tuple(str(one) for one in of),
            error=value_of(here, "error", bool, where, False),
            percent=value_of(here, "percent", bool, where, True),
        )

    def shown(self, share: float) -> float:
        """A share in the units of the column."""
        found = 1 - share if self.error else share
        return 100 * found if self.percent else found


def _one_of(
    content: Mapping[str, Any], key: str, allowed: Sequence[str], where: str, default: str | None = None
) -> Any:
    found = value_of(content, key, str, where, default)
    if found not in allowed:
        raise SpecError(f"{where} has {key} = {found!r}; allowed are {', '.join(allowed)}")
    return found
