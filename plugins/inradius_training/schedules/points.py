"""A validator of moments of a run."""

from typing import Any

import attrs


def rising(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    """Accepts a tuple of rising shares of the run."""
    good = isinstance(value, tuple) and all(isinstance(one, float) and 0 <= one <= 1 for one in value)
    if not good or list(value) != sorted(value):  # type: ignore[call-overload]
        raise ValueError(f"{field.name}={value!r} is not allowed; allowed are rising shares of the run, each in [0, 1]")
