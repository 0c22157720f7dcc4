"""A schedule: it changes a number over a run."""

import attrs

from inradius.components import validators
from inradius.components.validators import as_float
from inradius.training.slots import Schedule


@attrs.frozen(kw_only=True)
class AcmeName(Schedule):
    """From 0 straight up to 1 at ``peak``, a share of the run, and straight down to 0 at its end."""

    peak: float = attrs.field(default=0.5, validator=validators.share, converter=as_float)

    def __call__(self, progress: float) -> float:
        if progress < self.peak:
            return progress / self.peak
        return (1 - progress) / (1 - self.peak) if self.peak < 1 else 1.0
