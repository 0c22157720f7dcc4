"""Rows behind the relaxation of a function of several values."""

import attrs
from torch import Tensor

from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.windows import WindowRows


@attrs.frozen(eq=False)
class FactorRows:
    """Rows on each of several values that stand for rows on a function of them, as in ``RelaxedRows``."""

    functions: tuple[DenseRows | WindowRows, ...]
    constant: Tensor
    radius: Tensor | None
    owed: Tensor | None
    execution: Tensor | None
