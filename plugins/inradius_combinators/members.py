"""Attacks that hold several others, as a field."""

from abc import ABC
from typing import Any, ClassVar, Self

import attrs

from inradius import Attack


def _as_members(value: object) -> object:
    """A list as a tuple; anything else as it is, for the validator."""
    return tuple(value) if isinstance(value, list) else value


def _members(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts one attack or several."""
    if not isinstance(value, tuple) or not value:
        raise ValueError(
            f"{field.name}={value!r} are no attacks; allowed is one attack or several, as in (pgd(), fgsm())"
        )
    for member in value:
        if not isinstance(member, Attack):
            raise ValueError(f"{member} is no attack; allowed are components of kind Attack")


@attrs.frozen(kw_only=True)
class AttackWithMembers(Attack, ABC):
    """An attack that holds others, its field ``members``; it aims at classes where these can."""

    aims: ClassVar[bool] = True
    positional = ("*members",)

    members: tuple[Attack, ...] = attrs.field(validator=_members, converter=_as_members)

    def inner(self) -> tuple[Attack, ...]:
        return self.members

    def for_training(self) -> Self:
        return attrs.evolve(self, members=tuple(member.for_training() for member in self.members))
