"""Bounds on the rounding errors of boxes: of interval arithmetic, and of affine functions of the input."""

import attrs
import torch
from torch import Tensor

from inradius_bounds.lowering.node import Node
from inradius_bounds.network.magnitudes import counts
from inradius_bounds.network.row_errors import RowErrors
from inradius_bounds.rounding import gamma, tiny


@attrs.frozen(eq=False)
class BoxErrors:
    """For each affine node, a bound on the error of either side of its box."""

    rows: RowErrors

    def widening(self, node: Node) -> Tensor:
        """The error of a box that is computed from the boxes of the node's sources, (B, *shape), execution included."""
        forth, _ = counts(node)
        size, dtype = self.rows.magnitudes.size(node), self.rows.dtype
        if not node.rounds:
            return torch.zeros_like(size)
        small = (2 * forth + 8) * tiny(dtype) + self.rows.magnitudes.small_constants(node)
        here = torch.add(small, size, alpha=gamma(forth + 8, dtype))
        run = self.rows.executions.affine(node)
        return here if run is None else here + run

    def product(self, node: Node) -> Tensor:
        """The error of a product's box that is computed from the boxes of its factors, (B, *shape), execution included."""
        magnitudes, dtype = self.rows.magnitudes, self.rows.dtype
        size = node.magnitude(*(magnitudes.reach(source) for source in node.sources))
        terms, _ = counts(node)
        # three products of middles and half widths, none larger than that of the sizes
        here = 4 * gamma(terms + 12, dtype) * size + (8 * terms + 16) * tiny(dtype)
        here = here + 4 * terms * magnitudes.small_constants(node)
        run = self.rows.executions.product(node)
        return here if run is None else here + run

    def whole(self, node: Node) -> Tensor:
        """The error of the bounds of an affine function of the input, all steps together, (B, *shape)."""
        seen: set[Node] = set()
        left = [node]
        while left:
            each = left.pop()
            if each not in seen:
                seen.add(each)
                left += each.sources
        # the rows of the function are pulled to the input
        lost = self.rows.lost_between(seen)
        found = self._through(node)
        found = torch.zeros_like(self.rows.magnitudes.size(node)) if found is None else found
        return found + lost.view(-1, *(1,) * len(node.stored))

    def _through(self, node: Node) -> Tensor | None:
        """The error of ``whole`` without the underflow of rows, (B, *shape); None for 0 at the input."""
        if node is self.rows.network.entry:
            run = self.rows.executions.run
            # a machine may take small inputs for 0
            return None if run is None else torch.full_like(self.rows.magnitudes.size(node), tiny(run))
        # products of rows with constants are sums of a backward pass, and are not made here
        own = self.rows.step(node, constants=False)[0] + self.widening(node)
        before = [self._through(source) for source in node.sources]
        return own if all(each is None for each in before) else own + self.rows.passed(node, before)
