"""A weight that reacts to jumps of its penalty."""

import math
from typing import Any

import attrs

from inradius import UnsupportedError
from inradius.components.validators import as_float, count, positive, radius, share
from inradius.training.slots import Schedule


@attrs.frozen(kw_only=True)
class ElleA(Schedule):
    """The weight of a penalty, which is ``top`` at a step where the penalty jumps, else ``decay`` times the last weight.

    A penalty jumps where it exceeds mean + ``sensitivity`` · std of the penalties of all earlier steps, of which there must be
    ``least``. The weight begins at 0. Source: rocamora2024.
    """

    # released code, for CIFAR-10
    top: float = attrs.field(default=4000.0, validator=positive, converter=as_float)
    decay: float = attrs.field(default=0.99, validator=share, converter=as_float)
    sensitivity: float = attrs.field(default=2.0, validator=radius, converter=as_float)
    least: int = attrs.field(default=3, validator=count)

    def __call__(self, progress: float) -> float:
        raise UnsupportedError(
            f"{self} reacts to a penalty and is not a function of time; allowed is the weight of a regularizer"
        )

    def weigh(self, value: float, progress: float, memory: dict[str, Any]) -> float:
        """The weight of this step, computed from the penalty of this step."""
        known, mean, deviation = memory.get("known", 0), memory.get("mean", 0.0), memory.get("deviation", 0.0)
        jumped = known >= self.least and value > mean + self.sensitivity * math.sqrt(deviation / known)
        weight = self.top if jumped else self.decay * float(memory.get("weight", 0.0))
        after = mean + (value - mean) / (known + 1)
        memory |= {
            "known": known + 1,
            "mean": after,
            "deviation": deviation + (value - mean) * (value - after),
            "weight": weight,
        }
        return weight
