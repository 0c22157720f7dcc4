"""Rows behind the relaxation of a curve."""

import attrs
from torch import Tensor

from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.windows import WindowRows


@attrs.frozen(eq=False)
class RelaxedRows:
    """Rows on a curve's input that stand for rows on the curve.

    The rows on the curve lie within ``radius`` of these rows plus ``constant``; without a radius they lie above them. constant,
    radius: (B, K). owed, execution: the rounding errors of the rows, (B, K), or None where the lines already hold them.
    """

    function: DenseRows | WindowRows
    constant: Tensor
    radius: Tensor | None
    owed: Tensor | None = None
    execution: Tensor | None = None
