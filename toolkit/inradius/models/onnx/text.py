"""Texts of a file."""

from collections.abc import Iterable

from inradius.errors import InputError


def text(value: object, where: object) -> str:
    """The value, a text. Raises ``InputError`` for bytes that are no text, as protobuf hands them over."""
    if not isinstance(value, str):
        raise InputError(f"{where} has a name {value!r} that is no text; allowed is UTF-8")
    return value


def texts(values: Iterable[object], where: object) -> tuple[str, ...]:
    """The values, texts."""
    return tuple(text(value, where) for value in values)
