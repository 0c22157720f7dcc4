"""Curves whose line below is a mean of the first and the last of the rule's lines, with a share for each row and number."""

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.bending import Bent
from inradius_bounds.backward.inner import operator
from inradius_bounds.backward.lines import Lines, moved
from inradius_bounds.backward.rows.dense import Dense
from inradius_bounds.backward.rows.dot import dot
from inradius_bounds.backward.rows.windows import Windows, total
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.values import Values

Side = tuple[Tensor, Tensor]


@attrs.frozen(eq=False)
class Fan:
    """A curve's line above, and its first and last line below: slopes and offsets (B, *shape), constants in the offsets.

    owed, execution: as those of ``Lines``, for any mean of the lines.
    """

    above: Side
    first: Side
    last: Side
    owed: Tensor | None
    execution: Tensor | None

    @classmethod
    def of(cls, values: Values, node: Node) -> "Fan":
        """The fan of a curve whose input has a box."""
        op, source = operator(node), node.sources[0]
        floor, ceiling = op.rule.lines(op, *values.box(source))
        lines = (ceiling[0], floor[0], floor[-1])
        found = [moved(values, node, *line) for line in lines]
        sides = [(line[0], offset.to(line[0].dtype)) for line, (offset, _) in zip(lines, found, strict=True)]
        if values.sizes is None:
            return cls(sides[0], sides[1], sides[2], None, None)
        slope, offset = (torch.stack([side[part].abs() for side in sides]).amax(0) for part in (0, 1))
        missed = sum((each.to(offset.dtype) for _, each in found if each is not None), torch.zeros_like(offset))
        # a mean of two lines is rounded where it is made: twice what one line owes
        owed = Lines(2 * slope, None, 2 * offset, missed).with_rounding(values.sizes, node, owed=2 * missed)
        return cls(sides[0], sides[1], sides[2], owed.owed, owed.execution)


@attrs.define(eq=False)
class Shared:
    """A curve in a pass: its fan, the shares of the last line (B, K, ...) in the form of the rows, and what the rows see.

    The shares begin halfway between the lines.
    """

    fan: Fan
    share: Tensor | None = None
    # Pass doubles rows at lines that are not parallel; these are for one side
    turn: Tensor | None = None
    _seen: list[Side] = attrs.field(factory=list)

    def select(self, index: Tensor) -> "Shared":
        """The same for a part of the examples."""
        above, first, last = (_part(side, index) for side in (self.fan.above, self.fan.first, self.fan.last))
        fan = Fan(above, first, last, None, None)
        return Shared(fan, None if self.share is None else self.share[index])

    def bent(self, function: Dense | Windows) -> Bent:
        """The rows on the curve's input."""
        rows = function.families if isinstance(function, Windows) else function.rows
        if self.share is None:
            self.share = torch.full_like(rows, 0.5)
        above, first, change = self._lines(function)
        positive, negative = rows.clamp(min=0), rows.clamp(max=0)
        slope, offset = first[0] + self.share * change[0], first[1] + self.share * change[1]
        below = positive * slope + negative * above[0]
        constant = positive * offset + negative * above[1]
        found: Dense | Windows = Dense(below)
        if isinstance(function, Windows):
            found = attrs.evolve(function, rows=below.flatten(1, 2), clean=True)
            added = total(constant)
        else:
            added = dot(constant, torch.ones_like(constant[:, 0]))
        owed, execution = (
            None if part is None else function.sizes().over(part) for part in (self.fan.owed, self.fan.execution)
        )
        return Bent(found, added, None, owed, execution)

    def _lines(self, function: Dense | Windows) -> list[Side]:
        """The line above, the first one below and what the last one differs by, as the rows see them."""
        if not self._seen:
            fan = self.fan
            change = (fan.last[0] - fan.first[0], fan.last[1] - fan.first[1])
            for slope, offset in (fan.above, fan.first, change):
                self._seen.append((_as_seen(function, slope), _as_seen(function, offset)))
        return self._seen


def _as_seen(function: Dense | Windows, values: Tensor) -> Tensor:
    return function.seen(values) if isinstance(function, Windows) else values[:, None]


def _part(side: Side, index: Tensor) -> Side:
    return side[0][index], side[1][index]
