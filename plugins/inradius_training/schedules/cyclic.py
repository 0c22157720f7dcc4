"""A schedule that rises and falls."""

import attrs

from inradius.components.validators import as_float, share
from inradius.training.slots import Schedule


@attrs.frozen(kw_only=True)
class Cyclic(Schedule):
    """From 0 up to 1 at the share ``peak`` of the run, then down to 0 at its end, along straight lines. Source: smith2018."""

    # Wong et al. 2020, released code for MNIST: two fifths; 0.5 for CIFAR-10
    peak: float = attrs.field(default=0.4, validator=share, converter=as_float)

    def __call__(self, progress: float) -> float:
        if progress < self.peak:
            return progress / self.peak
        return (1 - progress) / (1 - self.peak) if self.peak < 1 else 1.0
