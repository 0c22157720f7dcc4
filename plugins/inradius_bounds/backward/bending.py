"""What rows become that pass a curve."""

import attrs
from torch import Tensor

from inradius_bounds.backward.rows.dense import Dense
from inradius_bounds.backward.rows.windows import Windows


@attrs.frozen(eq=False)
class Bent:
    """Rows on a curve's input: those on the curve lie within ``radius`` of them plus ``constant``, without a radius above.

    constant, radius (B, K); owed, execution: what the rows owe to rounding, or None where the lines hold it already.
    """

    function: Dense | Windows
    constant: Tensor
    radius: Tensor | None
    owed: Tensor | None = None
    execution: Tensor | None = None
