"""A schedule of many small drops."""

import math

import attrs

from inradius.components.validators import as_float, count, share
from inradius.training.slots import Schedule


@attrs.frozen(kw_only=True)
class Multiple(Schedule):
    """From 1 to ``stop`` by ``drops`` equal drops, which divide the run into parts of equal length. Source: rice2020."""

    # from 0.1 by 0.01 every 50 of 500 epochs, ending at 0.01: the thesis, section 4.3.2
    drops: int = attrs.field(default=9, validator=count)
    stop: float = attrs.field(default=0.1, validator=share, converter=as_float)

    def __call__(self, progress: float) -> float:
        # a part begins at its exact share, also where the product is rounded down
        done = min(self.drops, math.floor(progress * (self.drops + 1) + 1e-9))
        return 1 - (1 - self.stop) * done / self.drops
