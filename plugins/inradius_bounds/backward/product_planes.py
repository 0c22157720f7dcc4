"""The planes that stand for a product of two values in a backward pass.

With middles m and half widths r of two boxes, a b = a m_b + m_a b − m_a m_b + (a − m_a)(b − m_b), and the last product is at
most r_a r_b in size. So the planes below and above are parallel, and their distance scales as the product does: it is that of
the mean of the two planes of McCormick on either side. Source: mccormick1976.
"""

from collections.abc import Iterable
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.factor_rows import FactorRows
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.dot import dot, dot_terms
from inradius_bounds.backward.softmax_planes import SoftmaxPlanes
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.magnitudes import total
from inradius_bounds.network.rounding_errors import RoundingErrors
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rounding import ROOM, gamma, tiny, unit
from inradius_bounds.steps.bilinear import Bilinear
from inradius_bounds.steps.softmax import Softmax


@attrs.frozen(eq=False)
class ProductPlanes:
    """Planes first · b + a · second + offset ∓ band below and above a · b, where first and second are numbers for a and b.

    All are counted from the references of values. owed, execution: as in ``CurveLines``.
    """

    join: Bilinear
    first: Tensor
    second: Tensor
    offset: Tensor
    band: Tensor
    owed: Tensor | None = None
    execution: Tensor | None = None

    # the planes are parallel
    turn: ClassVar[None] = None

    @classmethod
    def of(cls, values: ValueBounds, node: Node) -> "ProductPlanes":
        """The planes of a product whose factors have boxes."""
        join = node.product
        assert isinstance(join, Bilinear)
        sides = [_Side.of(values, source) for source in node.sources]
        a, b = sides
        # from the product of the references the offset is that of the middles alone
        offset = -join(a.middle, b.middle)
        for one, (other, constant) in enumerate(
            ((b, values.handed(node.sources[0])), (a, values.handed(node.sources[1])))
        ):
            if constant is not None:
                # constants of the factors that passes do not add at the factors themselves
                constant = constant.expand(len(values.x), *constant.shape[1:])
                offset = offset + (join(other.coefficient, constant) if one else join(constant, other.coefficient))
        band = join(a.half, b.half)
        found = cls(join, a.coefficient, b.coefficient, offset, band)
        return found if values.errors is None else found._with_rounding(values, values.errors, node, sides)

    def _with_rounding(
        self, values: ValueBounds, errors: RoundingErrors, node: Node, sides: "list[_Side]"
    ) -> "ProductPlanes":
        """The planes with the rounding errors of rows on the product."""
        join, (a, b), dtype = self.join, sides, self.band.dtype
        far = [errors.deviations.deviation(source) for source in node.sources]
        count = join.terms + 8
        steep = join(far[0], b.size) + join(a.size, far[1])
        offsets = join(a.size + a.middle.abs(), b.size + b.middle.abs())
        # the planes themselves, and the reference, which float64 has rounded
        band = self.band * (1 + 2 * gamma(count, dtype)) + gamma(count, dtype) * join(a.middle.abs(), b.middle.abs())
        band = band + 2 * gamma(count, torch.float64) * offsets
        handed = [errors.rows.handed(source) for source in node.sources]
        terms = dot_terms(node.stored) + 4
        owed = (
            gamma(max(join.fan, join.terms) + 8 + 2 * errors.rows.adds(node), dtype) * steep
            + terms * ROOM * unit(dtype) * (self.offset.abs() + band)
            # coefficients, products and offsets may underflow
            + 8 * tiny(dtype) * count * (1 + (total(far[0]) + total(far[1])).view(-1, *(1,) * len(node.stored)))
        )
        execution = errors.executions.product(node)
        for place, debt in enumerate(handed):
            if debt is not None:
                owed = owed + _passed(join, sides, place, debt[0])
                more = debt[1]
                execution = (
                    execution if execution is None or more is None else execution + _passed(join, sides, place, more)
                )
        owed = ROOM * owed + 8 * tiny(dtype) * count
        return attrs.evolve(
            self,
            band=band * (1 + 8 * unit(dtype)),
            owed=ROOM * owed,
            execution=None if execution is None else ROOM * execution,
        )

    @property
    def folded(self) -> "ProductPlanes":
        """The planes moved apart by all rounding errors of rows here, so that rows owe nothing more."""
        band = self.band
        for part in (self.owed, self.execution):
            band = band if part is None else band + part
        return attrs.evolve(self, band=band, owed=None, execution=None)

    def product_rows(self, function: DenseRows) -> FactorRows:
        """The rows on the factors that stand for rows on the product."""
        rows = function.rows
        size = rows.abs()
        owed, execution = (
            None if part is None else dot(size, part.expand_as(self.band)) for part in (self.owed, self.execution)
        )
        join, shapes = self.join, (self.first.shape[1:], self.second.shape[1:])
        one = join.first_rows(rows, self.second).reshape(*rows.shape[:2], *shapes[0])
        other = join.second_rows(rows, self.first).reshape(*rows.shape[:2], *shapes[1])
        radius = dot(size, self.band)
        return FactorRows((DenseRows(one), DenseRows(other)), dot(rows, self.offset), radius, owed, execution)


Planes = ProductPlanes | SoftmaxPlanes


def planes(values: ValueBounds, node: Node) -> Planes:
    """The planes of a product or of a softmax, with the rounding errors of rows on it."""
    return SoftmaxPlanes.of(values, node) if isinstance(node.product, Softmax) else ProductPlanes.of(values, node)


def planes_of(values: ValueBounds, nodes: Iterable[Node]) -> dict[Node, Planes]:
    """The planes of each product and softmax, with the rounding errors of rows on it."""
    return {node: planes(values, node) for node in nodes}


@attrs.frozen(eq=False)
class _Side:
    """A factor: the middle and the half width of its box, counted from its reference, and reference plus middle, (B, *shape).

    size: a bound on the sizes of reference and middle together, from which errors of the coefficient are bounded.
    """

    middle: Tensor
    half: Tensor
    coefficient: Tensor
    size: Tensor

    @classmethod
    def of(cls, values: ValueBounds, source: Node) -> "_Side":
        """The factor ``source``, which has a box."""
        low, high = values.around(source)
        middle = (low + high) / 2
        half = torch.maximum(high - middle, middle - low)
        if values.errors is not None:
            half = half * (1 + 4 * unit(half.dtype)) + 2 * tiny(half.dtype)
        if values.about is None:
            return cls(middle, half, middle, middle.detach().abs())
        center = values.about.value(source)
        size = ((center.abs() + middle.abs()) * (1 + 4 * unit(middle.dtype))).to(middle.dtype)
        return cls(middle, half, (center + middle).to(middle.dtype), size)


def _passed(join: Bilinear, sides: "list[_Side]", place: int, debt: Tensor) -> Tensor:
    """The error ``debt`` of rows on one factor, for each unit of rows on the product."""
    other = sides[1 - place].size
    debt = debt.expand_as(sides[place].size)
    return join(debt, other) if place == 0 else join(other, debt)
