"""A schedule that begins slowly."""

from typing import Any

import attrs

from inradius.components.validators import as_float, component, share
from inradius.training.slots import Cosine, Schedule


@attrs.frozen(kw_only=True)
class Warmup(Schedule):
    """Another schedule, times a factor that grows from ``start`` to 1 over the first ``over`` of the run along a line.

    The other schedule goes its own way from the beginning, so that its drops stay where they are. Source: goyal2017.
    """

    positional = ("schedule",)

    schedule: Schedule = attrs.field(factory=Cosine, validator=component(Schedule))
    # 5 of 90 epochs: Goyal et al. 2017, sec. 2.2
    over: float = attrs.field(default=5 / 90, validator=share, converter=as_float)
    start: float = attrs.field(default=0.0, validator=share, converter=as_float)

    def __call__(self, progress: float) -> float:
        return self._factor(progress) * self.schedule(progress)

    def weigh(self, value: float, progress: float, memory: dict[str, Any]) -> float:
        """The factor of this step; the other schedule is told what it weighs."""
        return self._factor(progress) * self.schedule.weigh(value, progress, memory)

    def _factor(self, progress: float) -> float:
        return self.start + (1 - self.start) * progress / self.over if progress < self.over else 1.0
