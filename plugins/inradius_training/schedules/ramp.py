"""A straight line up."""

import attrs

from inradius.components.validators import as_float, radius, share
from inradius.training.slots import Schedule


@attrs.frozen(kw_only=True)
class Ramp(Schedule):
    """From ``start`` to ``stop`` along a straight line over the first share ``over`` of the run, then ``stop``.

    As the radius of a set it makes the training task harder step by step.
    """

    start: float = attrs.field(default=0.0, validator=radius, converter=as_float)
    stop: float = attrs.field(default=1.0, validator=radius, converter=as_float)
    # Wong and Kolter 2018: 20 of 60 epochs
    over: float = attrs.field(default=1 / 3, validator=share, converter=as_float)

    def __call__(self, progress: float) -> float:
        done = min(1.0, progress / self.over) if self.over else 1.0
        return self.start + (self.stop - self.start) * done
