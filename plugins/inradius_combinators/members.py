"""The attacks that a combinator holds, as a field."""

from typing import Any

import attrs

from inradius import Attack


def as_members(value: object) -> object:
    """A list as a tuple; anything else as it is, for the validator."""
    return tuple(value) if isinstance(value, list) else value


def members(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts one attack or several."""
    if not isinstance(value, tuple) or not value:
        raise ValueError(
            f"{field.name}={value!r} are no attacks; allowed is one attack or several, as in (pgd(), fgsm())"
        )
    for member in value:
        if not isinstance(member, Attack):
            raise ValueError(f"{member} is no attack; allowed are components of kind Attack")
