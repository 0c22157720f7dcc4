"""Quantities that fall along a cosine."""

import math


def cosine(first: float, last: float, step: int, steps: int) -> float:
    """The value of step 0, 1, ... of ``steps`` on the way from ``first`` to ``last``, slow at both ends."""
    return last + (first - last) * (1 + math.cos(math.pi * step / steps)) / 2
