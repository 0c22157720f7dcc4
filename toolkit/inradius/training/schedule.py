"""Schedules: how a number changes over a run."""

import math
from abc import ABC, abstractmethod
from typing import Any

import attrs

from inradius.components.component import Component


@attrs.frozen(kw_only=True)
class Schedule(Component, ABC):
    """A factor for each moment of a run; it is asked at every step, so that epochs count by fractions.

    A controller, whose factor depends on the number that it multiplies, overrides ``weigh`` as well.
    """

    @abstractmethod
    def __call__(self, progress: float) -> float:
        """The factor when a share ``progress`` in [0, 1] of the run is done."""

    def weigh(self, value: float, progress: float, memory: dict[str, Any]) -> float:
        """The factor of this step for the number ``value`` that it multiplies; ``memory`` lasts, and is saved with the run."""
        return self(progress)


@attrs.frozen(kw_only=True)
class Constant(Schedule):
    """1 from the beginning to the end."""

    def __call__(self, progress: float) -> float:
        return 1.0


@attrs.frozen(kw_only=True)
class Cosine(Schedule):
    """From 1 to 0 along half a cosine. Source: loshchilov2017."""

    def __call__(self, progress: float) -> float:
        return (1 + math.cos(math.pi * progress)) / 2
