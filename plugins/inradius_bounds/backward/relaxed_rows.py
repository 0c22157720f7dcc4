"""What rows become that pass a curve."""

import attrs
from torch import Tensor

from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.windows import WindowRows


@attrs.frozen(eq=False)
class RelaxedRows:
    """Rows on a curve's input: those on the curve lie within ``radius`` of them plus ``constant``, without a radius above.

    constant, radius (B, K); owed, execution: what the rows owe to rounding, or None where the lines hold it already.
    """

    function: DenseRows | WindowRows
    constant: Tensor
    radius: Tensor | None
    owed: Tensor | None = None
    execution: Tensor | None = None
