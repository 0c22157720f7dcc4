"""The lines of curves over domains at the numbers of a layout, side by side."""

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.optimised_lines import LineRange, Side
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.search.split_layout import SplitLayout


@attrs.frozen(eq=False)
class NumberLines:
    """For N numbers the line above the curve and the first and the last below it: slopes and offsets, (D, N) each.

    change: the last line below minus the first. inputs, outputs (D or 1, N): the references of the curves' inputs and values, from
    which lines count.
    """

    above: Side
    first: Side
    change: Side
    inputs: Tensor
    outputs: Tensor

    @classmethod
    def over(cls, values: ValueBounds, layout: SplitLayout, low: Tensor, high: Tensor) -> "NumberLines":
        """The lines between limits (D, N), for references of one set."""
        inputs, outputs = _references(values, layout)
        sides = []
        for curve, span in layout.spans.items():
            op = curve.required_operator
            floor, ceiling = op.rule.lines(op, layout.shaped(curve, low), layout.shaped(curve, high))
            for slope, offset in (ceiling[0], floor[0], floor[-1]):
                slope, offset = layout.own(curve, slope), layout.own(curve, offset)
                moved = slope * inputs[:, span] + offset - outputs[:, span]
                sides.append((slope, moved.to(slope)))
        above, first, last = (_beside(sides[place::3], low) for place in range(3))
        return cls(above, first, (last[0] - first[0], last[1] - first[1]), inputs, outputs)

    @classmethod
    def picked(cls, values: ValueBounds, layout: SplitLayout, fans: dict[Node, LineRange]) -> "NumberLines":
        """The lines of ``fans`` at the numbers of the layout."""
        found = []
        for name in ("above", "first", "last"):
            lines = {curve: getattr(fan, name) for curve, fan in fans.items()}
            slopes, offsets = ({curve: line[part] for curve, line in lines.items()} for part in (0, 1))
            found.append((layout.joined(slopes, values.x), layout.joined(offsets, values.x)))
        above, first, last = found
        return cls(above, first, (last[0] - first[0], last[1] - first[1]), *_references(values, layout))

    def below(self, share: Tensor) -> Side:
        """The lines below with the shares of the last one, (D, N)."""
        return self.first[0] + share * self.change[0], self.first[1] + share * self.change[1]

    def select(self, index: Tensor) -> "NumberLines":
        """The lines over the chosen domains."""
        above, first, change = ((side[0][index], side[1][index]) for side in (self.above, self.first, self.change))
        return attrs.evolve(self, above=above, first=first, change=change)


def _references(values: ValueBounds, layout: SplitLayout) -> Side:
    about = values.about
    assert about is not None, "lines count from references"
    inputs = layout.joined({curve: about.value(curve.sources[0]) for curve in layout.places}, values.x)
    outputs = layout.joined({curve: about.value(curve) for curve in layout.places}, values.x)
    return inputs, outputs


def _beside(sides: list[Side], like: Tensor) -> Side:
    empty = like[:, :0]
    return torch.cat([empty, *(side[0] for side in sides)], dim=1), torch.cat(
        [empty, *(side[1] for side in sides)], dim=1
    )
