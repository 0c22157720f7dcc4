"""A network's values at the inputs themselves. Bounds count from them, so only the distances from them are rounded."""

import attrs
import torch
from torch import Tensor

from inradius_bounds.lowering.node import Node
from inradius_bounds.network.picked import picked
from inradius_bounds.network.protocols import Float64Bounds


@attrs.define(eq=False)
class Reference:
    """For each node of a network, its numbers at x in float64, (B, *shape).

    Any other numbers would be sound as well, but these are near the values. ``wide`` holds the bounds of the same network,
    lowered in float64, at the same inputs, and ``partner`` gives each node's partner there. A reference is the node's step at
    its sources' references, as float64 computes it. ``Deviations.unmatched`` bounds the error of that.
    """

    wide: Float64Bounds
    partner: dict[Node, Node]
    _numbers: dict[Node, Tensor] = attrs.field(factory=dict)

    def value(self, node: Node) -> Tensor:
        """The reference of a node, (B, *shape)."""
        if node not in self._numbers:
            # infinite numbers have no distance; 0 is sound, because errors for such sizes are infinite
            self._numbers[node] = self._computed(node).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        return self._numbers[node]

    @torch.no_grad()
    def _computed(self, node: Node) -> Tensor:
        if not node.sources:
            return self.wide.x
        return self.partner[node].value(*(self.value(source) for source in node.sources))

    def box(self, node: Node) -> tuple[Tensor, Tensor]:
        """The box of an affine function of the input in float64, two of (B, *shape)."""
        return self.wide.box(self.partner[node])

    def select(self, index: Tensor) -> "Reference":
        """The references for the chosen examples."""
        numbers = {node: picked(number, index) for node, number in self._numbers.items()}
        return Reference(self.wide.select(index), self.partner, numbers)
