"""Straight lines between given points."""

import math
from bisect import bisect_right
from typing import Any

import attrs

from inradius.components.validators import as_floats
from inradius.training.slots import Schedule
from inradius_training.schedules.points import rising


def _values(instance: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    good = isinstance(value, tuple) and all(isinstance(one, float) and 0 <= one < math.inf for one in value)
    if not good or not value or len(value) != len(instance.at):  # type: ignore[arg-type]
        raise ValueError(
            f"{field.name}={value!r} is not allowed; allowed is one number ≥ 0 for each of at={instance.at}"
        )


@attrs.frozen(kw_only=True)
class PiecewiseLinear(Schedule):
    """``values`` at the shares ``at`` of the run, along straight lines between them; constant before the first and
    after the last.

    Where two values have the same share, the line jumps there to the second. Source: smith2018.
    """

    # CIFAR-10 in 50 epochs, as 0, 0.1, 0.005 and 0: the thesis, chapter 5
    at: tuple[float, ...] = attrs.field(default=(0.0, 0.4, 0.8, 1.0), validator=rising, converter=as_floats)
    values: tuple[float, ...] = attrs.field(default=(0.0, 1.0, 0.05, 0.0), validator=_values, converter=as_floats)

    def __call__(self, progress: float) -> float:
        place = bisect_right(self.at, progress)
        if place in (0, len(self.at)):
            return self.values[max(0, place - 1)]
        (start, stop), (low, high) = self.at[place - 1 : place + 1], self.values[place - 1 : place + 1]
        done = (progress - start) / (stop - start)
        return low * (1 - done) + high * done
