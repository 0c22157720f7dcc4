"""Points of a trade-off, the best of them, and the area that they dominate."""

from collections.abc import Iterable, Sequence
from math import sqrt

import attrs

from inradius.errors import InputError


@attrs.frozen(kw_only=True)
class Point:
    """One trained network: the method as given, its dial, the factor of the radius in training, and the seed.

    spec: the defense; examples: how many were judged; clean: the share of them that is right; certified: the share that is
    right and certified; seconds: the CPU time of the training and of the judgement; folder: the training's, within that of
    the whole.
    """

    method: str
    dial: float
    scale: float
    seed: int
    spec: str
    examples: int
    clean: float
    certified: float
    seconds: float
    folder: str


def front(points: Iterable[Point]) -> list[Point]:
    """The points that no other one dominates, the least accurate first; of equal ones the first.

    A point dominates another where it is at least as good in both shares and better in one.
    """
    found: list[Point] = []
    # from the most accurate on, a point counts where it is certified more often than all before it
    for point in sorted(points, key=lambda each: (-each.clean, -each.certified)):
        if not found or point.certified > found[-1].certified:
            found.append(point)
    return found[::-1]


def hypervolume(points: Iterable[Point]) -> float:
    """The area of the union of the rectangles [0, clean] × [0, certified], in [0, 1]."""
    area, reached = 0.0, 0.0
    for point in front(points):
        area += (point.clean - reached) * point.certified
        reached = point.clean
    return area


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and the standard deviation of a sample, 0 for one value. Raises ``InputError`` where there is none."""
    if not values:
        raise InputError("there are no values to average; allowed is at least one")
    mean = sum(values) / len(values)
    if len(values) == 1:
        return mean, 0.0
    return mean, sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
