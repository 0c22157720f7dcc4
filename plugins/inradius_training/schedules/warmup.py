"""A schedule that begins slowly."""

from typing import Any

import attrs

from inradius.components.validators import as_float, component, share
from inradius.training.slots import Cosine, Schedule


@attrs.frozen(kw_only=True)
class Warmup(Schedule):
    """Another schedule times a factor, which grows from ``start`` to 1 along a line over the first share ``over`` of the run.

    The other schedule runs from the beginning, so its drops stay at their places. Source: goyal2017.
    """

    positional = ("schedule",)

    schedule: Schedule = attrs.field(factory=Cosine, validator=component(Schedule))
    # 5 of 90 epochs: Goyal et al. 2017, sec. 2.2
    over: float = attrs.field(default=5 / 90, validator=share, converter=as_float)
    start: float = attrs.field(default=0.0, validator=share, converter=as_float)

    def __call__(self, progress: float) -> float:
        return self._factor(progress) * self.schedule(progress)

    def weigh(self, value: float, progress: float, memory: dict[str, Any]) -> float:
        """The weight of this step: the factor times the other schedule's weight, which depends on the penalty."""
        return self._factor(progress) * self.schedule.weigh(value, progress, memory)

    def _factor(self, progress: float) -> float:
        return self.start + (1 - self.start) * progress / self.over if progress < self.over else 1.0
