"""Sums of rows that meet at one value."""

import torch

from inradius_bounds.backward.rows.dense import Dense
from inradius_bounds.backward.rows.units import Units
from inradius_bounds.backward.rows.windows import Windows

Function = Dense | Windows | Units


def added(first: Function, second: Function, shape: torch.Size) -> Function:
    """The sum of two families of rows on a value of this shape: windows where both fit together, else dense."""
    left, right = (each.spread(shape) if isinstance(each, Units) else each for each in (first, second))
    if isinstance(left, Windows) and isinstance(right, Windows):
        found = left.plus(right)
        if found is not None and found.small(shape):
            return found
    return Dense(left.dense(shape).rows + right.dense(shape).rows)
