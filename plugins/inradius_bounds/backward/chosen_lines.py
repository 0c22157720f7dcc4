"""Rows behind lines that differ from row to row, because an ascent chooses a slope for each row and number."""

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.relaxed_rows import RelaxedRows
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.dot import dot
from inradius_bounds.backward.rows.windows import WindowRows, total


def entries(function: DenseRows | WindowRows) -> Tensor:
    """The numbers of rows: (B, K, *shape), of windows (B, s, K, h, w, C)."""
    return function.families if isinstance(function, WindowRows) else function.rows


def chosen_rows(
    function: DenseRows | WindowRows,
    pulled: Tensor,
    constants: Tensor,
    owed: Tensor | None,
    execution: Tensor | None,
) -> RelaxedRows:
    """The rows on a curve's input that stand for the rows ``function`` on the curve.

    pulled: the rows' numbers times the slopes of their lines. constants: their numbers times the offsets. Both have the form of
    ``entries``. owed, execution: rounding errors for each unit of a row on the curve, (B, *shape).
    """
    found: DenseRows | WindowRows = DenseRows(pulled)
    if isinstance(function, WindowRows):
        found = attrs.evolve(function, rows=pulled.flatten(1, 2), clean=True)
        constant = total(constants)
    else:
        constant = dot(constants, torch.ones_like(constants[:, 0]))
    debts = (None if part is None else function.sizes().over(part) for part in (owed, execution))
    return RelaxedRows(found, constant, None, *debts)
