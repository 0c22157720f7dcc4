"""The seeds in a spec."""

from collections.abc import Iterator

from inradius.components.spec import Call, parse


def seeds_of(spec: str) -> list[int]:
    """Every seed that a full spec names, from left to right; none for a method that draws nothing."""
    return list(_seeds(parse(spec)))


def _seeds(value: object) -> Iterator[int]:
    if isinstance(value, Call):
        for item in value.args:
            yield from _seeds(item)
        for name, item in value.kwargs:
            if name == "seed" and isinstance(item, int):
                yield item
            yield from _seeds(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _seeds(item)
