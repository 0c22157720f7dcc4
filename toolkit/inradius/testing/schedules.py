"""Laws of schedules, one function each; ``LAWS`` lists them all."""

import math

import attrs
import hypothesis.strategies as st

from inradius.errors import UnsupportedError
from inradius.testing.components import spec_round_trip
from inradius.training.slots import Schedule


@attrs.frozen(eq=False)
class Course:
    """What a law of schedules is tried on: moments of a run in order, and what a schedule with feedback weighs there."""

    moments: tuple[float, ...]
    values: tuple[float, ...]


def courses() -> st.SearchStrategy[Course]:
    """Moments in [0, 1], the first and the last among them, and non-negative values."""
    # where parts of a run meet
    meeting = st.sampled_from([0.1, 0.25, 1 / 3, 0.4, 0.5, 0.75, 0.8, 0.9])
    between = st.lists(st.one_of(st.floats(0, 1), meeting), max_size=8)
    moments = between.map(lambda inner: (0.0, *sorted(inner), 1.0))
    values = st.lists(st.floats(0, 1e6), min_size=10, max_size=10).map(tuple)
    return st.builds(Course, moments, values)


def factors_are_finite_and_not_negative(schedule: Schedule, course: Course) -> None:
    """The factor is a finite number ≥ 0 at every moment of the run, also at its very beginning and end."""
    for moment in course.moments:
        _check(_factor(schedule, moment), f"the factor at {moment}")


def equal_moments_have_equal_factors(schedule: Schedule, course: Course) -> None:
    """A factor is a function of the moment, whatever was asked before."""
    ahead = [_factor(schedule, moment) for moment in course.moments]
    back = [_factor(schedule, moment) for moment in reversed(course.moments)]
    assert ahead == back[::-1], f"asked in another order, {ahead} is {back[::-1]}"


def weights_are_finite_and_not_negative(schedule: Schedule, course: Course) -> None:
    """What it weighs a number by is finite and ≥ 0 at every step, and two equal courses get equal weights."""
    once, again = (_weights(schedule, course) for _ in range(2))
    for moment, weight in zip(course.moments, once, strict=False):
        _check(weight, f"the weight at {moment}")
    assert once == again, "two equal courses get different weights"


def _factor(schedule: Schedule, moment: float) -> float:
    """The factor; 1 of a schedule that is all feedback and says so."""
    try:
        return schedule(moment)
    except UnsupportedError:
        return 1.0


def _weights(schedule: Schedule, course: Course) -> list[float]:
    memory: dict[str, object] = {}
    pairs = zip(course.values, course.moments, strict=False)
    return [schedule.weigh(value, moment, memory) for value, moment in pairs]


def _check(factor: float, what: str) -> None:
    assert isinstance(factor, float | int), f"{what} is {factor!r}, which is no number"
    assert math.isfinite(factor), f"{what} is {factor}"
    assert factor >= 0, f"{what} is {factor}"


LAWS = (
    spec_round_trip,
    factors_are_finite_and_not_negative,
    equal_moments_have_equal_factors,
    weights_are_finite_and_not_negative,
)
