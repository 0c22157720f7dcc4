"""The planes that stand for a product of two values in a backward pass.

With middles m, half widths r of two boxes and τ in [−1, 1], (a − m_a + τ r_a) (b − m_b) is at most r_b (r_a + τ (a − m_a)) in
size, so that a b lies between a m_b + (m_a − τ r_a) (b − m_b) ∓ r_b (r_a + τ (a − m_a)). For τ = ±1 these are two of McCormick's
planes, else means of them. The factor a is shared: b has the same coefficient in both planes, and τ makes it the number of a's box
nearest to 0, so that b's error counts least. The planes scale as the product does. Source: mccormick1976.
"""

from collections.abc import Iterable

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.factor_rows import FactorRows
from inradius_bounds.backward.maximum_planes import MaximumPlanes
from inradius_bounds.backward.planes import Planes as Planes
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.dot import dot_terms
from inradius_bounds.backward.softmax_planes import SoftmaxPlanes
from inradius_bounds.detached import detached
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.magnitudes import total
from inradius_bounds.network.rounding_errors import RoundingErrors
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rounding import ROOM, gamma, tiny, unit
from inradius_bounds.steps.bilinear import Bilinear
from inradius_bounds.steps.softmax import Softmax
from inradius_bounds.steps.window_maximum import WindowMaximum

# the largest relative difference of a tie
_TIE = 1e-6


@attrs.frozen(eq=False)
class ProductPlanes(Planes):
    """The planes below and above a · b, with the coefficients of ``_Side`` for a and b, counted from the references of values."""

    join: Bilinear
    first: "_Side"
    second: "_Side"

    @classmethod
    def of(cls, values: ValueBounds, node: Node) -> "ProductPlanes":
        """The planes of a product whose factors have boxes."""
        join = node.product
        assert isinstance(join, Bilinear)
        a, b = _chosen(*(_Side.of(values, source) for source in node.sources))
        # from the product of the references the offset is that of the middles alone
        offset = -join(a.nearest, b.nearest)
        offset = offset + (join(a.handed, b.coefficient) + join(a.coefficient, b.handed) if a.holds or b.holds else 0)
        band = join(a.reach, b.reach)
        found = cls(join, a, b, offset=offset, band=band)
        return found if values.errors is None else found._with_rounding(values.errors, node)

    def _with_rounding(self, errors: RoundingErrors, node: Node) -> "ProductPlanes":
        """The planes with the rounding errors of rows on the product."""
        join, a, b, dtype = self.join, self.first, self.second, self.band.dtype
        far = [errors.deviations.deviation(source) for source in node.sources]
        count = join.terms + 16
        steep = join(far[0], b.size) + join(a.size, far[1])
        middles = [side.middle.abs() for side in (a, b)]
        reach = join(middles[0] + a.half, middles[1] + b.half)
        offsets = join(a.size + middles[0], b.size + middles[1])
        # the planes themselves, and the reference, which float64 has rounded
        band = self.band + 4 * gamma(count, dtype) * reach + 2 * gamma(count, torch.float64) * offsets
        handed = [errors.rows.handed(source) for source in node.sources]
        terms = dot_terms(node.stored) + 4
        owed = (
            gamma(2 * max(join.fan, join.terms) + 16 + 2 * errors.rows.adds(node), dtype) * steep
            + terms * ROOM * unit(dtype) * (self.offset.abs() + band.abs())
            # coefficients, products and offsets may underflow
            + 8 * tiny(dtype) * count * (1 + (total(far[0]) + total(far[1])).view(-1, *(1,) * len(node.stored)))
        )
        execution = errors.executions.product(node)
        for place, debt in enumerate(handed):
            if debt is not None:
                owed = owed + _passed(join, (a, b), place, debt[0])
                more = debt[1]
                execution = (
                    execution if execution is None or more is None else execution + _passed(join, (a, b), place, more)
                )
        owed = ROOM * owed + 8 * tiny(dtype) * count
        return attrs.evolve(
            self,
            band=band + 8 * unit(dtype) * band.abs(),
            owed=ROOM * owed,
            execution=None if execution is None else ROOM * execution,
        )

    def product_rows(self, function: DenseRows) -> FactorRows:
        """The rows on the factors that stand for rows on the product."""
        rows = function.rows
        size = rows.abs()
        join, a, b = self.join, self.first, self.second
        one, other = join.first_rows(rows, b.coefficient), join.second_rows(rows, a.coefficient)
        if a.leans:
            one = one - join.first_rows(size, b.half) * a.lean.reshape(len(rows), 1, *one.shape[2:])
        if b.leans:
            other = other - join.second_rows(size, a.half) * b.lean.reshape(len(rows), 1, *other.shape[2:])
        functions = tuple(
            DenseRows(part.reshape(*rows.shape[:2], *side.middle.shape[1:])) for part, side in ((one, a), (other, b))
        )
        return self._joined(rows, functions)


def planes(values: ValueBounds, node: Node) -> Planes:
    """The planes of a product, of a softmax or of maxima over windows, with the rounding errors of rows on it."""
    if isinstance(node.product, WindowMaximum):
        return MaximumPlanes.of(values, node)
    return SoftmaxPlanes.of(values, node) if isinstance(node.product, Softmax) else ProductPlanes.of(values, node)


def planes_of(values: ValueBounds, nodes: Iterable[Node]) -> dict[Node, Planes]:
    """The planes of each product and softmax, with the rounding errors of rows on it."""
    return {node: planes(values, node) for node in nodes}


@attrs.frozen(eq=False)
class _Side:
    """A factor: the middle and the half width of its box, counted from its reference, (B, *shape) each.

    lean: τ, 0 for the factor that is not shared. coefficient: reference + middle − τ · half width. size: a bound on the sizes of
    all coefficients, from which their errors are bounded. handed: the constant that passes do not add at the factor, 0 for none.
    leans, holds: false where ``lean`` and ``handed`` are 0.
    """

    middle: Tensor
    half: Tensor
    coefficient: Tensor
    size: Tensor
    handed: Tensor
    holds: bool
    lean: Tensor
    leans: bool = False

    @classmethod
    def of(cls, values: ValueBounds, source: Node) -> "_Side":
        """The factor ``source``, which has a box, with τ = 0."""
        low, high = values.around(source)
        middle = (low + high) / 2
        half = torch.maximum(high - middle, middle - low)
        if values.errors is not None:
            half = half * (1 + 4 * unit(half.dtype)) + 2 * tiny(half.dtype)
        constant, zero = values.handed(source), torch.zeros_like(middle)
        handed = zero if constant is None else constant.expand_as(middle)
        coefficient, size = middle, detached(middle).abs()
        if values.about is not None:
            center = values.about.value(source)
            size = ((center.abs() + middle.abs()) * (1 + 4 * unit(middle.dtype))).to(middle.dtype)
            coefficient = (center + middle).to(middle.dtype)
        return cls(middle, half, coefficient, size + 2 * detached(half), handed, constant is not None, zero)

    @property
    def nearest(self) -> Tensor:
        """Middle − τ · half width, (B, *shape)."""
        return self.middle - self.lean * self.half if self.leans else self.middle

    @property
    def reach(self) -> Tensor:
        """Half width − τ · (middle − handed), (B, *shape)."""
        if not self.leans:
            return self.half
        return self.half - self.lean * (self.middle - self.handed if self.holds else self.middle)

    @property
    def towards_zero(self) -> Tensor:
        """τ for which middle − τ · half width is the number of the box nearest to 0, (B, *shape)."""
        wide = self.half.clamp(min=tiny(self.half.dtype))
        return torch.where(self.half > 0, self.coefficient / wide, 0.0).clamp(-1, 1)

    def shared(self, towards_zero: Tensor, where: Tensor) -> "_Side":
        """The factor, shared in the chosen examples (B,), with τ there."""
        if not bool(where.any()):
            return self
        lean = towards_zero * where.view(-1, *(1,) * (self.middle.ndim - 1)).to(self.middle.dtype)
        return attrs.evolve(self, coefficient=self.coefficient - lean * self.half, lean=lean, leans=True)


def _chosen(first: _Side, second: _Side) -> tuple[_Side, _Side]:
    """The factors, of which one is shared in each example: the one whose box is narrower beside its distance from 0."""
    ends = [side.towards_zero for side in (first, second)]
    sure = [detached(end).abs().flatten(1).mean(1) for end in ends]
    # factors that are equal but for rounding are a tie
    earlier = sure[0] >= (1 - _TIE) * sure[1]
    return first.shared(ends[0], earlier), second.shared(ends[1], ~earlier)


def _passed(join: Bilinear, sides: tuple[_Side, _Side], place: int, debt: Tensor) -> Tensor:
    """The error ``debt`` of rows on one factor, for each unit of rows on the product."""
    other = sides[1 - place].size
    debt = debt.expand_as(sides[place].size)
    return join(debt, other) if place == 0 else join(other, debt)
