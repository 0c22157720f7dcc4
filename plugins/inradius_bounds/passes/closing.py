"""The ends of a backward pass: bounds of linear functions of the input over Δ(x), and of curves over their boxes."""

import attrs
import torch
from torch import Tensor

from inradius_bounds.lowering.node import Node
from inradius_bounds.passes.backward import Pass
from inradius_bounds.rounding import ROOM, gamma, unit
from inradius_bounds.rows.dot import dot, dot_terms


@attrs.frozen(eq=False)
class Found:
    """Lower bounds (B, K), and what rounding may have added to them: in their computation, and in an execution of the model."""

    value: Tensor
    error: Tensor | None
    execution: Tensor | None

    @property
    def owed(self) -> Tensor:
        """All that rounding may have added, (B, K)."""
        parts = [part for part in (self.error, self.execution) if part is not None]
        return sum(parts, torch.zeros_like(self.value.detach()))

    def replaced(self, example: int, row: int, other: "Found") -> "Found":
        """The bounds with one of them taken from ``other``, (1, 1), where that proves more."""
        if float(other.safe.detach()) <= float(self.safe[example, row].detach()):
            return self
        place = (torch.tensor(example), torch.tensor(row))
        pairs = ((self.value, other.value), (self.error, other.error), (self.execution, other.execution))
        parts = (None if mine is None or its is None else mine.index_put(place, its[0, 0]) for mine, its in pairs)
        value, error, execution = parts
        assert value is not None
        return Found(value, error, execution)

    @property
    def safe(self) -> Tensor:
        """The bounds less all that is owed, (B, K)."""
        found = self.value if self.error is None else self.value - ROOM * self.error
        return found if self.execution is None else found - self.execution


def lower(ended: Pass, *, cheap: bool = False) -> Found:
    """Lower bounds of the rows of a pass; ``cheap``: by the support's own cheaper bound."""
    values, about = ended.values, ended.values.about
    value, owed = ended.constant - ended.radius, ended.owed
    for node, function in ended.pending.items():
        rows = function.dense(node.stored).rows
        if node is values.network.entry:
            support = values.threat.support_bound if cheap else values.threat.support
            around = support(-rows, values.x)
            least = -around if about is not None else dot(rows, values.x) - around
            size = around.abs()
        else:
            low, high = values.around(node)
            center, around = dot(rows, (low + high) / 2), dot(rows.abs(), (high - low) / 2)
            least = center - around
            size = around
        value = value + least
        if owed is not None:
            owed = owed + _rounding(ended, node, rows, size + least.abs() + value.abs())
    return Found(value, None if owed is None else owed.detach(), ended.execution)


def _rounding(ended: Pass, node: Node, rows: Tensor, sizes: Tensor) -> Tensor:
    """What the products of rows with a node's numbers and their sums may be off by, (B, K)."""
    values = ended.values
    assert values.sizes is not None
    dtype, uses = rows.dtype, len(values.network.uses[node])
    last = 4 * unit(dtype) * sizes.detach()
    terms = dot_terms(rows.shape[2:]) + 8 + uses
    if node is not values.network.entry:
        reach = values.sizes.distance(node)
    elif values.about is None:
        reach = torch.maximum(values.x.abs(), values.sizes.reach(node))
    elif uses == 1:
        # the set's own answer is a bound for the rows as they are
        return ROOM * last
    else:
        reach, terms = values.sizes.distance(node), uses + 2
    return ROOM * (gamma(terms, dtype) * dot(rows.detach().abs(), reach) + last)


def both(ended: Pass) -> tuple[Tensor, Tensor]:
    """Lower and upper bounds of the rows that a pass over two sides began with, less what is owed, two of (B, K)."""
    if ended.doubled:
        found = lower(ended, cheap=True)
        least, negated = found.safe.chunk(2, dim=1)
        ended.values.note(found.owed.chunk(2, dim=1)[0], -negated - least)
        return least, -negated
    values = ended.values
    center, low, high = ended.constant, torch.zeros_like(ended.constant), torch.zeros_like(ended.constant)
    owed = ended.owed
    for node, function in ended.pending.items():
        rows = function.dense(node.stored).rows
        if values.about is None:
            center = center + dot(rows, values.x)
        low, high = values.threat.span(rows, values.x)
        if owed is not None:
            owed = owed + _rounding(
                ended, node, rows, center.abs() + torch.maximum(low.abs(), high.abs()) + ended.radius
            )
    room = ended.radius if owed is None else ended.radius + ROOM * owed.detach()
    room = room if ended.execution is None else room + ended.execution
    values.note(room - ended.radius, 2 * room + high - low)
    return center - room + low, center + room + high
