"""Bounds on the distances of a network's numbers from their references."""

import attrs
import torch
from torch import Tensor

from inradius_bounds.lowering.node import Node
from inradius_bounds.network.execution_errors import ExecutionErrors
from inradius_bounds.network.magnitudes import Magnitudes, counts
from inradius_bounds.network.network import mixes
from inradius_bounds.rounding import gamma, tiny


@attrs.define(eq=False)
class Deviations:
    """For each node, bounds on the distance of its numbers from its reference (see ``Reference``).

    Without references, values are counted from 0, and distances are sizes.
    """

    magnitudes: Magnitudes
    executions: ExecutionErrors
    _deviation: dict[Node, Tensor] = attrs.field(factory=dict)

    def deviation(self, node: Node) -> Tensor:
        """A bound on the sum of the sizes of all that is added up to make the node's distance from its reference, (B, *shape).

        It bounds the distance as well.
        """
        if self.magnitudes.values.about is None:
            return self.magnitudes.size(node)
        if node not in self._deviation:
            self._deviation[node] = self._deviated(node)
        return self._deviation[node]

    def _deviated(self, node: Node) -> Tensor:
        if node is self.magnitudes.network.entry or node.bends:
            return self.distance(node)
        given = [self.distance(source) if mixes(node) else self.deviation(source) for source in node.sources]
        if node.operator is not None and not node.rounds:
            # the numbers of the source, unchanged; a join may hold constants, which were rounded
            return node.stretch(*given)
        found = node.stretch(*given) + self.unmatched(node)
        found = found + (2 * counts(node)[0] + 8) * tiny(self.magnitudes.dtype)
        run = self.executions.affine(node)
        return found if run is None else found + run

    def distance(self, node: Node) -> Tensor:
        """A bound on the distance of the node's numbers from its reference, (B, *shape)."""
        values = self.magnitudes.values
        if values.about is None:
            return self.magnitudes.reach(node)
        if not node.bends and values.known(node) is None:
            return self.deviation(node)
        low, high = values.around(node)
        return torch.maximum(low.abs(), high.abs())

    def unmatched(self, node: Node) -> Tensor:
        """A bound on the difference between an affine node's reference and its step at its sources' references, (B, *shape).

        The reference is that step in float64, so the difference is the rounding of float64. The size is rounded in a shorter
        type, and so is this bound.
        """
        forth, _ = counts(node)
        small = (2 * forth + 8) * tiny(self.magnitudes.dtype) + self.magnitudes.small_constants(node)
        return torch.add(small, self.magnitudes.size(node), alpha=2 * gamma(forth + 10, torch.float64))
