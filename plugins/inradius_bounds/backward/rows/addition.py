"""Sums of rows that meet at one value."""

import torch

from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.units import UnitRows
from inradius_bounds.backward.rows.windows import WindowRows

LinearFunctions = DenseRows | WindowRows | UnitRows


def added(first: LinearFunctions, second: LinearFunctions, shape: torch.Size) -> LinearFunctions:
    """The sum of two families of rows on a value of this shape: windows where both fit together, else dense rows."""
    left, right = (each.spread(shape) if isinstance(each, UnitRows) else each for each in (first, second))
    if isinstance(left, WindowRows) and isinstance(right, WindowRows):
        found = left.plus(right)
        if found is not None and found.small(shape):
            return found
    return DenseRows(left.dense(shape).rows + right.dense(shape).rows)
