"""A schedule that falls by steps."""

import attrs

from inradius.components.validators import as_float, as_floats, positive
from inradius.training.slots import Schedule
from inradius_training.schedules.points import rising


@attrs.frozen(kw_only=True)
class Steps(Schedule):
    """1, multiplied by ``factor`` at each of the shares ``at`` of the run: the piecewise schedule. Source: rice2020."""

    # divided by 10 at one half and at three quarters: Rice et al. 2020, sec. 3
    at: tuple[float, ...] = attrs.field(default=(0.5, 0.75), validator=rising, converter=as_floats)
    factor: float = attrs.field(default=0.1, validator=positive, converter=as_float)

    def __call__(self, progress: float) -> float:
        passed = sum(progress >= one for one in self.at)
        # a division, because powers of 0.1 are not exact decimal fractions
        return 1 / (1 / self.factor) ** passed
