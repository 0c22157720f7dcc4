"""Values that depend on the input, with the steps that make them."""

from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from inradius import Operator
from inradius_bounds.box import Box
from inradius_bounds.steps.bilinear import Bilinear
from inradius_bounds.steps.join import Join
from inradius_bounds.steps.softmax import Softmax
from inradius_bounds.steps.window_maximum import WindowMaximum


@attrs.define(eq=False)
class Node:
    """A value that depends on the input: made by a layer or a step (``operator``), or by a join of several values.

    shape: with all axes, for one example. where: its place in the user's code. The input has neither operator nor join.
    """

    shape: torch.Size
    sources: tuple["Node", ...] = ()
    operator: Operator | None = None
    join: Join | None = None
    # of two values that both depend on the input, or the softmax or the maxima over windows of one
    product: Bilinear | Softmax | WindowMaximum | None = None
    where: str = ""
    # true where the model's own operator rounds as this step does, or less
    executed: bool = False
    # the node with the same numbers in another shape that is stored alike
    same: "Node | None" = None
    # true where the model's number is −inf, (*shape); the node's number there is any finite one
    hidden: Tensor | None = None
    # torch's function of two values, the larger or the smaller of each two numbers, where the node is a sum that stands for it
    extreme: Callable[[Tensor, Tensor], Tensor] | None = None
    # what ``counts`` has found for the node, which only depends on shapes
    counted: tuple[int, int] | None = None

    @property
    def root(self) -> "Node":
        """The node that makes the numbers."""
        return self if self.same is None else self.same

    @property
    def stored(self) -> torch.Size:
        """The shape of one example in a batch of bounds, which has a batch axis of its own in front."""
        return stored(self.shape)

    @property
    def rounds(self) -> bool:
        """False if the node holds numbers of its sources, unchanged and each once, so that neither it nor its adjoint rounds."""
        if self.product is not None:
            return not self.product.exact
        if self.join is not None:
            return self.join.adds or self.join.fan > 1 or self.join.flushes
        return self.operator is None or self.operator.rule.rounds or self.operator.rule.fan(self.operator) > 1

    @property
    def compared(self) -> "tuple[Node, Node]":
        """The two values that ``extreme`` is a function of: a and b of b + relu(a − b), or of a − relu(a − b)."""
        first, second = self.sources[1].sources[0].sources
        return first, second

    @property
    def curved(self) -> bool:
        """True if a non-linear layer makes the node."""
        return self.operator is not None and not self.operator.rule.affine

    @property
    def bends(self) -> bool:
        """True if the node is no affine function of its sources: a curve, or a product."""
        return self.curved or self.product is not None

    @property
    def required_operator(self) -> Operator:
        """The layer or step that makes the node, which is neither the input nor a join."""
        assert self.operator is not None
        return self.operator

    def value(self, *sources: Tensor) -> Tensor:
        """The node's value for values of its sources, (B, *shape)."""
        if self.product is not None:
            return self.product(*sources)
        return self.required_operator(sources[0]) if self.join is None else self.join(*sources)

    def interval(self, *boxes: Box) -> Box:
        """The node's box over boxes of its sources, two of (B, *shape)."""
        if self.product is not None:
            return self.product.interval(*boxes)
        if self.join is not None:
            return self.join.interval(*boxes)
        return self.required_operator.rule.interval(self.required_operator, *boxes[0])

    def magnitude(self, *bounds: Tensor) -> Tensor:
        """|A| bound + |b| of an affine node, or the product of the bounds, for bounds on the sizes of its sources, (B, *shape)."""
        if self.product is not None:
            return self.product.magnitude(*bounds)
        if self.join is not None:
            return self.join.magnitude(*bounds)
        return self.required_operator.rule.magnitude(self.required_operator, bounds[0])

    def stretch(self, *bounds: Tensor) -> Tensor:
        """|A| bound of an affine node, without its constants, (B, *shape)."""
        if self.join is not None:
            return self.join.stretch(*bounds)
        return self.required_operator.rule.stretch(self.required_operator, bounds[0])

    def adjoint(self, rows: Tensor) -> list[Tensor]:
        """The rows on an affine node as rows on each of its sources, (B, K, *shape) -> (B, K, *shape of each)."""
        if self.join is not None:
            return self.join.adjoint(rows)
        return [self.required_operator.rule.adjoint(self.required_operator, rows)]


def stored(shape: torch.Size) -> torch.Size:
    """A shape without a first axis of one, which usually is the model's own batch axis. A single number has one axis of one."""
    if not shape:
        return torch.Size([1])
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape
