"""The numbers at which domains are split: the inputs of all curves of a network, side by side in one vector."""

from functools import cached_property

import attrs
import torch
from torch import Tensor

from inradius_bounds.box import Box
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.network import Network
from inradius_bounds.network.value_bounds import ValueBounds


@attrs.frozen(eq=False, slots=False)
class SplitLayout:
    """The places of the inputs of a network's curves in vectors of N numbers."""

    network: Network

    @cached_property
    def spans(self) -> dict[Node, slice]:
        """The part of the vector that belongs to each curve."""
        found, start = {}, 0
        for curve in self.network.curves:
            found[curve] = slice(start, start + curve.stored.numel())
            start += curve.stored.numel()
        return found

    @property
    def size(self) -> int:
        """N, the count of numbers."""
        return sum(curve.stored.numel() for curve in self.network.curves)

    def part(self, curve: Node, flat: Tensor) -> Tensor:
        """The numbers of one curve, (D, N) -> (D, *shape)."""
        return flat[:, self.spans[curve]].view(len(flat), *curve.stored)

    def joined(self, parts: dict[Node, Tensor], like: Tensor) -> Tensor:
        """The numbers of all curves, (D, *shape) each -> (D, N). Without curves it is (D, 0), of the type of ``like`` (D, ...)."""
        if not parts:
            return like.new_zeros(len(like), 0)
        return torch.cat([parts[curve].flatten(1) for curve in self.network.curves], dim=1)

    def limits(self, values: ValueBounds) -> Box:
        """The boxes of all curves' inputs, two of (D, N)."""
        boxes = {curve: values.box(curve.sources[0]) for curve in self.network.curves}
        low, high = ({curve: box[side] for curve, box in boxes.items()} for side in (0, 1))
        # a limit that is not a number says nothing
        infinite = torch.inf
        return (
            self.joined(low, values.x).nan_to_num(nan=-infinite, posinf=infinite, neginf=-infinite),
            self.joined(high, values.x).nan_to_num(nan=infinite, posinf=infinite, neginf=-infinite),
        )

    def boxes(self, low: Tensor, high: Tensor) -> dict[Node, Box]:
        """The boxes of the curves' inputs, two of (D, *shape) each, from limits (D, N)."""
        found: dict[Node, Box] = {}
        for curve in self.network.curves:
            box = self.part(curve, low), self.part(curve, high)
            source = curve.sources[0]
            if source in found:
                box = torch.maximum(box[0], found[source][0]), torch.minimum(box[1], found[source][1])
            found[source] = box
        return found

    def undecided(self, low: Tensor, high: Tensor) -> Tensor:
        """True for the numbers whose curve is not a line between the limits, (D, N)."""
        found = {}
        for curve in self.network.curves:
            op = curve.required_operator
            found[curve] = op.rule.undecided(op, self.part(curve, low), self.part(curve, high))
        return self.joined(found, low).bool()
