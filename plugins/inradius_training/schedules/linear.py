"""A straight line down."""

from typing import Any

import attrs

from inradius.components.validators import as_float, share
from inradius.training.slots import Schedule


def _after_first(instance: Any, field: "attrs.Attribute[Any]", value: float) -> None:
    share(instance, field, value)
    if value <= instance.first:
        raise ValueError(
            f"{field.name}={value!r} is not allowed; allowed are shares of the run above first={instance.first}"
        )


@attrs.frozen(kw_only=True)
class Linear(Schedule):
    """1 until the share ``first`` of the run, a straight line to ``stop`` until the share ``last``, then ``stop``.

    Linear decay in the thesis is ``linear(first=0.5, last=0.75, stop=0.1)``. Source: rice2020.
    """

    # over the whole run, down to 0
    first: float = attrs.field(default=0.0, validator=share, converter=as_float)
    last: float = attrs.field(default=1.0, validator=_after_first, converter=as_float)
    stop: float = attrs.field(default=0.0, validator=share, converter=as_float)

    def __call__(self, progress: float) -> float:
        done = min(1.0, max(0.0, progress - self.first) / (self.last - self.first))
        return 1 - (1 - self.stop) * done
