"""The planes that stand for a function of several values in a backward pass."""

from abc import ABC, abstractmethod
from typing import Any, Self

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.curve_lines import widened
from inradius_bounds.backward.factor_rows import FactorRows
from inradius_bounds.backward.rows.addition import LinearFunctions
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.dot import dot
from inradius_bounds.backward.rows.windows import WindowRows


@attrs.frozen(eq=False)
class Planes(ABC):
    """Planes below and above a function of several values, each for rows of one sign.

    offset, band: the middle and the half distance of the planes' offsets, counted from the references of values, (B, *shape).
    owed, execution: as in ``CurveLines``.
    """

    offset: Tensor = attrs.field(kw_only=True)
    band: Tensor = attrs.field(kw_only=True)
    owed: Tensor | None = attrs.field(kw_only=True, default=None)
    execution: Tensor | None = attrs.field(kw_only=True, default=None)

    @abstractmethod
    def product_rows(self, function: Any) -> FactorRows:
        """The rows on the values that stand for rows on the function, which have the form of ``form``."""

    def form(self, function: LinearFunctions, shape: torch.Size) -> DenseRows | WindowRows:
        """The form of rows on the function of this shape that ``product_rows`` takes: dense rows, unless it takes others."""
        return function.dense(shape)

    @property
    def turn(self) -> Tensor:
        """Not None, as the planes are not parallel."""
        return self.band

    @property
    def folded(self) -> Self:
        """The planes moved apart by all rounding errors of rows on the function; ``owed`` and ``execution`` are None."""
        return attrs.evolve(self, band=widened(self.band, (self.owed, self.execution)), owed=None, execution=None)

    def _joined(self, rows: Tensor, functions: tuple[DenseRows | WindowRows, ...]) -> FactorRows:
        """The rows ``functions`` on the values, with the constant and the errors of rows (B, K, *shape) on the function."""
        size = rows.abs()
        owed, execution = (
            None if part is None else dot(size, part.expand_as(self.band)) for part in (self.owed, self.execution)
        )
        return FactorRows(functions, dot(rows, self.offset) - dot(size, self.band), None, owed, execution)
