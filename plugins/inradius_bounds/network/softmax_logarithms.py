"""The logarithms of the shares of softmaxes over boxes, which their boxes and their planes have in common."""

import attrs
from torch import Tensor

from inradius_bounds.box import Box
from inradius_bounds.lowering.node import Node
from inradius_bounds.steps.softmax import Softmax


@attrs.define(eq=False)
class SoftmaxLogarithms:
    """For each softmax a side of the box of its argument, and what ``log_shares`` gives over that box."""

    _known: dict[Node, tuple[Tensor, Box]] = attrs.field(factory=dict)

    def of(self, node: Node, box: Box) -> Box:
        """The bounds of the logarithms of a softmax over a box of its argument, in float64."""
        known = self._known.get(node)
        if known is None or known[0] is not box[0]:
            assert isinstance(node.product, Softmax)
            known = self._known[node] = box[0], node.product.logarithms(box)
        return known[1]
