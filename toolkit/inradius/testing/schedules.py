"""Laws of schedules, one function each; ``LAWS`` lists them all."""

import math

import attrs
import hypothesis.strategies as st

from inradius.errors import UnsupportedError
from inradius.testing.components import spec_round_trip
from inradius.training.slots import Schedule


@attrs.frozen(eq=False)
class ScheduleCase:
    """A case for the laws of schedules: moments of a run in order, and the penalties there for a schedule with feedback."""

    moments: tuple[float, ...]
    values: tuple[float, ...]


def schedule_cases() -> st.SearchStrategy[ScheduleCase]:
    """Moments in [0, 1], including the first and the last, and non-negative values."""
    # shares at which parts of a run meet
    meeting = st.sampled_from([0.1, 0.25, 1 / 3, 0.4, 0.5, 0.75, 0.8, 0.9])
    between = st.lists(st.one_of(st.floats(0, 1), meeting), max_size=8)
    moments = between.map(lambda inner: (0.0, *sorted(inner), 1.0))
    values = st.lists(st.floats(0, 1e6), min_size=10, max_size=10).map(tuple)
    return st.builds(ScheduleCase, moments, values)


def factors_are_finite_and_not_negative(schedule: Schedule, case: ScheduleCase) -> None:
    """The factor is a finite number ≥ 0 at every moment of the run, including its beginning and its end."""
    for moment in case.moments:
        _check(_factor(schedule, moment), f"the factor at {moment}")


def equal_moments_have_equal_factors(schedule: Schedule, case: ScheduleCase) -> None:
    """A factor is a function of the moment and does not depend on earlier calls."""
    ahead = [_factor(schedule, moment) for moment in case.moments]
    back = [_factor(schedule, moment) for moment in reversed(case.moments)]
    assert ahead == back[::-1], f"asked in another order, {ahead} is {back[::-1]}"


def weights_are_finite_and_not_negative(schedule: Schedule, case: ScheduleCase) -> None:
    """The weight of a penalty is finite and ≥ 0 at every step, and two equal cases get equal weights."""
    once, again = (_weights(schedule, case) for _ in range(2))
    for moment, weight in zip(case.moments, once, strict=False):
        _check(weight, f"the weight at {moment}")
    assert once == again, "two equal cases get different weights"


def _factor(schedule: Schedule, moment: float) -> float:
    """The factor; 1 for a schedule that depends on feedback alone and raises ``UnsupportedError``."""
    try:
        return schedule(moment)
    except UnsupportedError:
        return 1.0


def _weights(schedule: Schedule, case: ScheduleCase) -> list[float]:
    memory: dict[str, object] = {}
    pairs = zip(case.values, case.moments, strict=False)
    return [schedule.weigh(value, moment, memory) for value, moment in pairs]


def _check(factor: float, what: str) -> None:
    assert isinstance(factor, float | int), f"{what} is {factor!r}, which is not a number"
    assert math.isfinite(factor), f"{what} is {factor}"
    assert factor >= 0, f"{what} is {factor}"


LAWS = (
    spec_round_trip,
    factors_are_finite_and_not_negative,
    equal_moments_have_equal_factors,
    weights_are_finite_and_not_negative,
)
