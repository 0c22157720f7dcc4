"""Lines of a curve over a domain, with multipliers of the limits that define the domain.

A domain is the set of the inputs for which some inputs z of curves lie between limits, low ≤ z ≤ high. For every number b the
minimum of a function f over the domain is at least

    min f(x) − b z + b low  for b ≥ 0,        min f(x) − b z + b high  for b ≤ 0,

over all of Δ(x), because what is added is at most 0 in the domain. So any b is sound, and the best b of all numbers give the
Lagrangian dual. The limits may come from splits, or from bounds that hold anyway. Source: wang2021.
"""

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.optimised_lines import LineRange, OptimisedLines
from inradius_bounds.backward.relaxed_rows import RelaxedRows
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.dot import dot, dot_terms
from inradius_bounds.backward.rows.windows import WindowRows
from inradius_bounds.box import Box
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rounding import ROOM, gamma, tiny, unit


@attrs.define(eq=False)
class SplitLines:
    """The lines of a curve in passes over D domains, one row each.

    multiplier (D, *shape): the numbers b of the curve's input; None for 0. limits: the limits of the curve's input minus its
    reference, two of (D, *shape), rounded outward. met (D, *shape): after a pass, the rows on the curve.
    """

    values: ValueBounds
    node: Node
    lines: OptimisedLines
    limits: Box
    multiplier: Tensor | None = None
    met: Tensor | None = None
    # a pass doubles rows at lines that are not parallel; these lines are for one side
    turn: Tensor | None = None

    @classmethod
    def of(
        cls, values: ValueBounds, node: Node, fan: LineRange, limits: Box, share: Tensor, multiplier: Tensor | None
    ) -> "SplitLines":
        """The lines of a curve over domains, with ``limits_of`` it, and with the shares of the last line below (D, 1, *shape)."""
        return cls(values, node, OptimisedLines(fan, share), limits, multiplier)

    def relaxed_rows(self, function: DenseRows | WindowRows) -> RelaxedRows:
        """The rows on the curve's input that stand for rows on the curve."""
        dense = function.dense(self.node.stored)
        self.met = dense.rows.detach()[:, 0]
        found = self.lines.relaxed_rows(dense)
        if self.multiplier is None:
            return found
        limit = torch.where(self.multiplier > 0, *self.limits)
        # the limit of a number without a multiplier may be infinite
        product = torch.where(self.multiplier == 0, 0.0, self.multiplier * limit)
        rows = found.function.dense(self.node.stored).rows - self.multiplier[:, None]
        constant = found.constant + product.flatten(1).sum(1, keepdim=True)
        owed, execution = self._lost(rows, product, constant, found)
        return RelaxedRows(DenseRows(rows), constant, None, owed, execution)

    def _lost(
        self, rows: Tensor, product: Tensor, constant: Tensor, found: RelaxedRows
    ) -> tuple[Tensor | None, Tensor | None]:
        """The rounding errors of the rows, with those that the multipliers add, two of (D, 1)."""
        errors = self.values.errors
        if errors is None or self.multiplier is None:
            return found.owed, found.execution
        source, u = self.node.sources[0], unit(rows.dtype)
        size = self.multiplier.abs()[:, None]
        # the subtraction of the multiplier is one more rounding of each row
        more = 2 * u * dot(rows.abs() + size, errors.deviations.deviation(source))
        more = more + gamma(dot_terms(self.node.stored) + product[0].numel(), rows.dtype) * product.abs().flatten(
            1
        ).sum(1, keepdim=True)
        more = more + 2 * u * (constant.abs() + found.constant.abs()) + 2 * product[0].numel() * tiny(rows.dtype)
        handed, execution = errors.rows.handed(source), found.execution
        if handed is not None:
            more = more + dot(size, handed[0].expand(len(size), *source.stored))
            if handed[1] is not None and execution is not None:
                execution = execution + dot(size, handed[1].expand(len(size), *source.stored))
        owed = more if found.owed is None else found.owed + more
        return ROOM * owed, execution


def limits_of(values: ValueBounds, node: Node) -> Box:
    """The box of a curve's input minus its reference, two of (D, *shape), rounded outward.

    It is the box of the domain, also where the input is an affine function of the network's input.
    """
    assert values.about is not None, "limits count from references"
    source = node.sources[0]
    low, high = values.box(source)
    center = values.about.value(source)
    size = 4 * unit(torch.float64) * (center.abs() + torch.maximum(low.abs(), high.abs()))
    return low - center - size, high - center + size
