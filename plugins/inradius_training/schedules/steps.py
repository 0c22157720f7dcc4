"""Down by steps."""

from typing import Any

import attrs

from inradius.slots import Schedule
from inradius.validators import as_floats


def _shares(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    good = isinstance(value, tuple) and all(isinstance(one, float) and 0 <= one <= 1 for one in value)
    if not good or list(value) != sorted(value):  # type: ignore[call-overload]
        raise ValueError(f"{field.name}={value!r} is not allowed; allowed are rising shares of the run, each in [0, 1]")


@attrs.frozen(kw_only=True)
class Steps(Schedule):
    """1, multiplied by ``factor`` at each of the shares ``at`` of the run."""

    # divided by 10 at one half and at three quarters: Rice et al. 2020, sec. 3
    at: tuple[float, ...] = attrs.field(default=(0.5, 0.75), validator=_shares, converter=as_floats)
    factor: float = attrs.field(default=0.1, validator=attrs.validators.gt(0))

    def __call__(self, progress: float) -> float:
        passed = sum(progress >= one for one in self.at)
        # a division, since powers of 0.1 are not the decimal fractions
        return 1 / (1 / self.factor) ** passed
