"""The options of a bracket, with their defaults, for Python and the command line alike."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar, get_args

import attrs
import torch

from inradius.arguments import check_flag, seconds_of, told
from inradius.attacks.attack import Attack
from inradius.certifiers.certificate import DEFAULT_CLAIM, Claim, check_claim
from inradius.certifiers.certifier import Certifier, UnionMode
from inradius.components.component import Component
from inradius.components.registry import make
from inradius.errors import InputError
from inradius.outcomes.classes import TOP1
from inradius.outcomes.outcome import Outcome
from inradius.sets.threat_model import ThreatModel
from inradius.stored.files import as_folder

C = TypeVar("C", bound=Component)


def _several(given: Sequence[C | str] | C | str | None, kind: type[C], name: str) -> tuple[C, ...] | None:
    """The components of a list of specs; one spec is a list of one, and None stays None."""
    if given is None:
        return None
    single = isinstance(given, str | Component) or not isinstance(given, Iterable)
    several: Iterable[C | str] = [given] if single else given  # type: ignore[list-item, assignment]
    found = tuple(make(item, kind) for item in several)
    for item in found:
        if found.count(item) > 1:
            raise InputError(f"{name} has {item} more than once; give it once, or with another seed")
    return found


def _attacks(given: Sequence[Attack | str] | Attack | str | None) -> tuple[Attack, ...] | None:
    return _several(given, Attack, "attacks")


def _certifiers(given: Sequence[Certifier | str] | Certifier | str | None) -> tuple[Certifier, ...] | None:
    return _several(given, Certifier, "certifiers")


def _outcome(given: Outcome | str) -> Outcome:
    return make(given, Outcome)


def _flag(options: object, field: "attrs.Attribute[bool]", value: object) -> None:
    check_flag(value, field.name)


@attrs.frozen(kw_only=True)
class BracketOptions:
    """The keyword arguments of ``inradius.bracket``, checked: one value for a call from Python and from the command line.

    attacks, certifiers: components, or None for those that the threat model names; the other fields are described at
    ``inradius.bracket``. Raises ``InputError`` and ``SpecError``, one sentence each, for a value that is not allowed.
    """

    attacks: tuple[Attack, ...] | None = attrs.field(default=None, converter=_attacks)
    certifiers: tuple[Certifier, ...] | None = attrs.field(default=None, converter=_certifiers)
    folder: Path | None = attrs.field(default=None, converter=attrs.converters.optional(as_folder))
    fresh: bool = attrs.field(default=False, validator=_flag)
    audit: float = attrs.field(default=0.1)
    exhaustive: bool = attrs.field(default=False, validator=_flag)
    union: UnionMode = attrs.field(default="each")
    batch_size: int = attrs.field(default=128)
    device: torch.device | str | None = None
    seed: int = attrs.field(default=0)
    optimize_model: bool = attrs.field(default=False, validator=_flag)
    accept_solver: bool = attrs.field(default=False, validator=_flag)
    claim: Claim = attrs.field(default=DEFAULT_CLAIM)
    outcome: Outcome = attrs.field(default=TOP1, converter=_outcome)
    votes: int | None = attrs.field(default=None)
    time: float | None = attrs.field(default=None, converter=seconds_of)
    progress: bool = attrs.field(default=False, validator=_flag)
    model_name: str | None = attrs.field(default=None)

    @audit.validator
    def _check_audit(self, field: object, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise InputError(f"audit={value!r} is not a share; allowed is a number between 0 and 1")

    @union.validator
    def _check_union(self, field: object, value: object) -> None:
        if value not in get_args(UnionMode):
            raise InputError(f"union={value!r} is not allowed; allowed are 'each' and 'hull'")

    @batch_size.validator
    def _check_batch_size(self, field: object, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"batch_size={value!r} is not allowed; allowed is an integer ≥ 1")

    @seed.validator
    def _check_seed(self, field: object, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise InputError(f"seed={value!r} is not allowed; allowed is an integer")

    @claim.validator
    def _check_claim(self, field: object, value: object) -> None:
        check_claim(value)

    @votes.validator
    def _check_votes(self, field: object, value: object) -> None:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise InputError(
                f"votes={value!r} is not allowed; allowed is an integer ≥ 1, or None for what the model needs"
            )

    @model_name.validator
    def _check_model_name(self, field: object, value: object) -> None:
        if value is not None and not isinstance(value, str):
            raise InputError(f"model_name is {told(value)}; allowed is a string, or None for the name of the class")

    def for_threat(self, threat: ThreatModel) -> "BracketOptions":
        """These options with the attacks and certifiers that the threat model names, where none are given."""
        above = threat.default_attacks if self.attacks is None else self.attacks
        below = threat.default_certifiers if self.certifiers is None else self.certifiers
        return attrs.evolve(self, attacks=above, certifiers=below)


# the defaults that Python and the command line share
DEFAULTS = BracketOptions()
