"""The backward pass: rows on a value are pulled to the input.

They pass affine nodes exactly, and curves by their lines. Rows that meet at a value add up there, so a skip connection costs
one addition. Rows are taken as they were computed. The error of each step is counted as it is made (see ``RowErrors``), and the
errors add up over the depth without being multiplied. Source: wong2018, zhang2018.
"""

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.rows.addition import LinearFunctions, added
from inradius_bounds.backward.rows.dot import dot_terms
from inradius_bounds.backward.rows.units import UnitRows
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rounding import ROOM, gamma, tiny


@attrs.define(eq=False)
class BackwardPass:
    """Rows on their way to the input: ``pending`` by node, with constants, radii and rounding errors (B, s · K).

    Addends of the constants and of the errors are kept until ``settle``, which is one sum and one bound of its rounding.

    two: true where curves whose lines are not parallel double the rows, for lower bounds of the rows and of their negatives.
    stops: true where the rows also end at curves, products and maxima. notes: true where the pass that stops is noted on the way.
    stopped: that pass; None where it was not asked for, or would also stop elsewhere than at the first node that bends.
    """

    values: ValueBounds
    lines: Mapping[Node, Any]
    pending: dict[Node, LinearFunctions]
    constant: Tensor
    two: bool = False
    stops: bool = False
    notes: bool = False
    stopped: "BackwardPass | None" = None
    doubled: bool = False
    radius: Tensor = attrs.field(init=False)
    owed: Tensor | None = None
    execution: Tensor | None = None
    _addends: list[Tensor] = attrs.field(init=False, factory=list)
    _debts: list[Tensor] = attrs.field(init=False, factory=list)
    _losses: list[Tensor] = attrs.field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self.radius = torch.zeros_like(self.constant)

    def run(self, start: Node) -> "BackwardPass":
        """The finished pass: all rows are pulled from ``start`` to where passes end, and the rest is in ``pending``."""
        self._begin(start)
        network, passed = self.values.network, list[Node]()
        for place in range(network.place[start], network.place[self.values.end], -1):
            node = network.nodes[place]
            function = self.pending.get(node)
            if function is None or self._ends(node):
                continue
            if self.notes and _bends(node):
                self.stopped, self.notes = self._stopped(passed), False
            del self.pending[node]
            passed.append(node)
            if node.curved:
                self._through_curve(node, function)
            elif node.product is not None:
                self._through_product(node, function)
            else:
                if node in network.paying_nodes and node is not start and not self._paid_later(node):
                    self._pay(node, function)
                for source, pulled in function.through(node):
                    self._collect(source, pulled)
        self.settle()
        return self

    def _stopped(self, passed: list[Node]) -> "BackwardPass | None":
        """The pass that stops, at the first node that bends; None where rows on other nodes are left to be pulled."""
        ends = {node for node in self.pending if node is not self.values.end}
        if len(ends) > 1:
            return None
        found = BackwardPass(self.values, {}, dict(self.pending), self.constant, stops=True)
        errors = self.values.errors
        if errors is not None:
            found.owed = errors.rows.lost_between(passed)[:, None].expand_as(self.constant)
            found.execution = self.execution
        found._addends, found._debts, found._losses = [*self._addends], [*self._debts], [*self._losses]
        self.values.find(list(ends))
        found.settle()
        return found

    def _ends(self, node: Node) -> bool:
        """True if rows end at a node before the one at which all passes end."""
        return self.stops and _bends(node)

    def _passed(self, start: Node) -> set[Node]:
        """The nodes that rows on ``start`` pass, and those at which they end."""
        found, left = {start}, [start]
        while left:
            node = left.pop()
            if node is not self.values.end and not self._ends(node):
                left += [source for source in node.sources if source not in found]
                found.update(node.sources)
        return found

    def _begin(self, start: Node) -> None:
        errors = self.values.errors
        if errors is not None:
            if self.stops:
                passed = self._passed(start)
                self.values.find([node for node in passed if self._ends(node)])
                lost = errors.rows.lost_between(node for node in passed if not self._ends(node))
            else:
                lost = errors.rows.lost(start)
            self.owed = lost[:, None].expand_as(self.constant)
            if errors.rounding.execution is not None:
                self.execution = torch.zeros_like(self.constant)
        if self.values.about is not None:
            self._count_from(self.values.about.value(start), self.pending[start])
        if not start.bends and not (self.stops and start.extreme is not None):
            self._pay(start, self.pending[start])

    def _count_from(self, center: Tensor, function: LinearFunctions) -> None:
        """Adds the rows' values at the reference of the node on which they begin, computed in float64."""
        wide = function.wide()
        self._shift(wide.over(center).to(self.constant.dtype))
        u = gamma(dot_terms(center.shape[1:]) + 8, torch.float64)
        self._owe(u * wide.sizes().over(center.abs()).to(self.constant.dtype) + tiny(self.constant.dtype), None)

    def _paid_later(self, node: Node) -> bool:
        """True if the lines of the curve that makes an extreme hold the errors of the rows on it."""
        return node.extreme is not None and getattr(self.lines.get(node.sources[1]), "pays", False)

    def _pay(self, node: Node, function: LinearFunctions) -> None:
        """Adds the constants of a node, and the rounding errors of rows on it."""
        constant, errors = self.values.constant(node), self.values.errors
        if constant is not None:
            self._shift(function.over(constant))
        owed = None if errors is None else errors.rows.owed(node, single=isinstance(function, UnitRows))
        if owed is None:
            return
        size = function.sizes()
        self._owe(size.over(owed[0]), None if owed[1] is None else size.over(owed[1]))

    def _shift(self, constant: Tensor) -> None:
        """Adds to the constants."""
        self._addends.append(constant)

    def _owe(self, owed: Tensor | None, execution: Tensor | None) -> None:
        """Adds to the errors."""
        if owed is not None and self.owed is not None:
            self._debts.append(owed)
        if execution is not None and self.execution is not None:
            self._losses.append(execution)

    def settle(self) -> None:
        """Adds up all that was added to constants and errors. The rounding of the constants' sum, addends and radii is counted."""
        if self._addends:
            parts = torch.stack([self.constant, *self._addends])
            self.constant = parts.sum(0)
            # a sum of n numbers has n − 1 roundings, and each addend one of its own; radii are as many
            rounds = gamma(len(parts) + 1, self.constant.dtype)
            self._owe(rounds * (parts.abs().sum(0) + self.radius), None)
        if self.owed is not None and self._debts:
            self.owed = ROOM * torch.stack([self.owed, *self._debts]).sum(0).detach()
        if self.execution is not None and self._losses:
            self.execution = ROOM * torch.stack([self.execution, *self._losses]).sum(0).detach()
        self._addends, self._debts, self._losses = [], [], []

    def _through_curve(self, node: Node, function: LinearFunctions) -> None:
        lines = self.lines[node]
        spread = function.spread(node.stored) if isinstance(function, UnitRows) else function
        if self.two and not self.doubled and lines.turn is not None:
            self._double()
            spread = spread.doubled()
        found = lines.relaxed_rows(spread)
        if found.radius is not None:
            self.radius = self.radius + found.radius
        self._shift(found.constant)
        self._owe(found.owed, found.execution)
        self._collect(node.sources[0], found.function)

    def _through_product(self, node: Node, function: LinearFunctions) -> None:
        lines = self.lines[node]
        spread = lines.form(function, node.stored)
        if self.two and not self.doubled and lines.turn is not None:
            self._double()
            spread = spread.doubled()
        found = lines.product_rows(spread)
        if found.radius is not None:
            self.radius = self.radius + found.radius
        self._shift(found.constant)
        self._owe(found.owed, found.execution)
        for source, rows in zip(node.sources, found.functions, strict=True):
            self._collect(source, rows)

    def _double(self) -> None:
        self.doubled = True
        self.settle()
        for node, function in self.pending.items():
            spread = function.spread(node.stored) if isinstance(function, UnitRows) else function
            self.pending[node] = spread.doubled()
        self.constant = torch.cat([self.constant, -self.constant], dim=1)
        self.radius = self.radius.repeat(1, 2)
        self.owed = None if self.owed is None else self.owed.repeat(1, 2)
        self.execution = None if self.execution is None else self.execution.repeat(1, 2)

    def _collect(self, node: Node, function: LinearFunctions) -> None:
        before = self.pending.get(node)
        self.pending[node] = function if before is None else added(before, function, node.stored)


def _bends(node: Node) -> bool:
    """True for a curve, a product and a maximum."""
    return node.bends or node.extreme is not None
