"""Bounds of the values of a network over Δ(x), node by node."""

from collections import Counter
from collections.abc import Collection
from functools import cached_property
from weakref import proxy

import attrs
import torch
from torch import Tensor

from inradius import Oracles
from inradius_bounds.box import Box, fastest
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.magnitudes import total
from inradius_bounds.network.network import Network
from inradius_bounds.network.picked import picked
from inradius_bounds.network.reference import Reference
from inradius_bounds.network.rounding_errors import RoundingErrors
from inradius_bounds.network.softmax_logarithms import SoftmaxLogarithms
from inradius_bounds.rounding import Rounding, tiny, unit
from inradius_bounds.steps.bilinear import Bilinear
from inradius_bounds.steps.softmax import Softmax


@attrs.define(eq=False, slots=False)
class ValueBounds:
    """The bounds of a network's values for a batch x (B, *S): boxes, constants, and rounding errors.

    rounding: the arithmetic of the bounds; None for training, where rounding is not bounded. about: the references from which
    backward passes count values; None for 0. limit: the most numbers that rows may have at once; None for no limit. passing: true
    where boxes that were not asked for are dropped as soon as those that are made of them are there.
    """

    network: Network
    x: Tensor
    threat: Oracles
    rounding: Rounding | None
    boxes: dict[Node, Box] = attrs.field(factory=dict)
    constants: dict[Node, Tensor] = attrs.field(factory=dict)
    # the largest share of rounding in the width of any bounds, (B,)
    noise: Tensor | None = None
    about: Reference | None = None
    limit: int | None = None
    passing: bool = False
    errors: RoundingErrors | None = attrs.field(init=False)
    # the bounds whose errors are used in place of own ones
    root: "ValueBounds | None" = attrs.field(init=False, default=None)
    # for each node the box that ``around`` was found for, and what was found
    _around: dict[Node, tuple[Box, Box]] = attrs.field(init=False, factory=dict)
    logarithms: SoftmaxLogarithms = attrs.field(init=False, factory=SoftmaxLogarithms)

    def __attrs_post_init__(self) -> None:
        # a weak reference, as errors that hold the bounds would keep both in memory until Python looks for cycles
        self.errors = None if self.rounding is None else RoundingErrors.of(self.network, proxy(self), self.rounding)
        # sizes come from boxes, which would be computed again; behind the last curve no boxes are needed
        last = max((place for node, place in self.network.place.items() if node.bends), default=0)
        before = self.network.nodes[1:last]
        self.passing = self.passing and self.errors is not None and all(map(self.errors.folded.near, before))

    def known(self, node: Node) -> Box | None:
        """The box of a node, two of (B, *shape), where it is already computed; the box of the input always is."""
        if node is self.network.entry and node not in self.boxes:
            self.boxes[node] = self._hull()
        return self.boxes.get(node)

    def box(self, node: Node) -> Box:
        """The box of a node whose sources have boxes, two of (B, *shape)."""
        if self.known(node) is None:
            self.find([node])
        return self.boxes[node]

    def find(self, nodes: Collection[Node]) -> None:
        """Computes the boxes of some nodes."""
        # in order, as a chain of nodes may be longer than Python's stack
        missing = self._missing(nodes)
        uses = Counter(source for each in missing for source in self._made_of(each))
        for each in missing:
            low, high = self._computed(each)
            # channels last does not make gradients of weights faster
            self.boxes[each] = (low, high) if self.rounding is None else (fastest(low), fastest(high))
            for source in self._made_of(each) if self.passing else ():
                uses[source] -= 1
                if not uses[source] and source not in nodes:
                    # memory that is used again is faster than new memory
                    self.boxes.pop(source, None)

    def _made_of(self, node: Node) -> tuple[Node, ...]:
        """The nodes whose boxes make the box of a node."""
        if self._asks_set(node):
            return ()
        return node.compared if node.extreme is not None else node.sources

    def _missing(self, nodes: Collection[Node]) -> list[Node]:
        """The nodes and those before them whose boxes are needed for theirs and are not there, in order."""
        found: set[Node] = set()
        stack = list(nodes)
        while stack:
            each = stack.pop()
            if each not in found and self.known(each) is None:
                found.add(each)
                stack += self._made_of(each)
        return sorted(found, key=self.network.place.__getitem__)

    def _asks_set(self, node: Node) -> bool:
        """True for an affine function of the input whose box comes from the set or the references, not from its sources' boxes."""
        if node not in self.network.affine_nodes or node not in self.network.curve_inputs:
            return False
        # over a box, the box of one step is as tight as the set's answer, and costs less
        return (
            self.rounding is None
            or self.about is not None
            or not (self.boxed and self.network.block(node).exact_interval)
        )

    @cached_property
    def boxed(self) -> bool:
        """True if each Δ(x) is a box of finite size around 0."""
        if not self.threat.is_box:
            return False
        low, high = self.room
        # the width of a side that is not finite is not less than infinity
        return bool(((low <= 0) & (high >= 0) & (high - low < torch.inf)).all())

    @cached_property
    def end(self) -> Node:
        """The node at which backward passes end: the input; for sets that are boxes, the last node that only scales the input."""
        front, entry = self.network.front, self.network.entry
        return front if front is not entry and self.boxed else entry

    @cached_property
    def sides(self) -> Box | None:
        """The middle and the half width of the box of ``end`` minus its reference, two of (B, *shape); None for other sets.

        The half width is rounded up.
        """
        if not self.boxed:
            return None
        low, high = self.around(self.end)
        middle = (low + high) / 2
        half = torch.maximum(high - middle, middle - low)
        if self.rounding is not None:
            # a half may be rounded, and lost to underflow
            half = half * (1 + 4 * unit(half.dtype)) + 2 * tiny(half.dtype)
        return middle, half if self.about is None else torch.maximum(half, middle.abs())

    @cached_property
    def centred(self) -> bool:
        """True if the middle of ``sides`` is 0, so that no row has a value there."""
        return self.sides is not None and not bool(self.sides[0].any())

    @cached_property
    def room(self) -> Box:
        """The least and the largest δ of each coordinate over Δ(x), two of (B, *S).

        An execution may take small inputs for 0, and the room includes that.
        """
        if self.rounding is None and self.threat.is_box:
            # without rounding, the corners are exact
            ends = [self.threat.linear_max(torch.full_like(self.x, sign), self.x) for sign in (-1.0, 1.0)]
            return ends[0], ends[1]
        low, high = self.threat.hull(self.x)
        if self.rounding is None or self.rounding.execution is None:
            return low, high
        least = 2 * tiny(self.rounding.execution)
        return low - least, high + least

    def _hull(self) -> Box:
        low, high = self.room
        lower, upper = self.x + low, self.x + high
        if self.rounding is None:
            return lower, upper
        # underflow may take inputs, distances and sums
        u, least = 2 * unit(lower.dtype), 2 * tiny(lower.dtype)
        return torch.sub(lower, lower.abs(), alpha=u) - least, torch.add(upper, upper.abs(), alpha=u) + least

    def _computed(self, node: Node) -> Box:
        if self._asks_set(node):
            if self.about is not None:
                found = self._outward(*self.about.box(node))
                self._heard(self.about.wide.noise)
                return found
            lower, upper = self._affine(node)
            return (lower, upper) if self.errors is None else self._widened(lower, upper, self.errors.boxes.whole(node))
        if node.extreme is not None:
            (low, high), (other_low, other_high) = (self.box(each) for each in node.compared)
            return node.extreme(low, other_low), node.extreme(high, other_high)
        boxes = [self.box(source) for source in node.sources]
        if isinstance(node.product, Softmax):
            # a softmax rounds outwards itself, and has no level float
            return node.product.interval(boxes[0], self.logarithms.of(node, boxes[0]))
        folded = None if self.errors is None else self.errors.folded.of(node, boxes)
        if folded is not None:
            self._heard(folded.share)
            return folded.box
        lower, upper = node.interval(*boxes)
        if self.errors is None:
            return lower, upper
        if isinstance(node.product, Bilinear):
            return self._widened(lower, upper, self.errors.boxes.product(node))
        if not node.bends:
            return self._widened(lower, upper, self.errors.boxes.widening(node))
        # a maximum is exact, and the rule of a curve rounds outwards itself
        if not node.curved or self.errors.executions.exact(node):
            return lower, upper
        run = self.errors.executions.curve(node, torch.maximum(lower.abs(), upper.abs()))
        return (lower, upper) if run is None else self._widened(lower, upper, run)

    def _affine(self, node: Node) -> Box:
        """The box of an affine function of the input from the set's own oracle, two of (B, *shape)."""
        block = self.network.block(node)
        if self.rounding is None and self.threat.is_box and block.exact_interval:
            low, high = self.room
            return block.interval(self.x + low, self.x + high)
        return self.threat.bound_affine(block, self.x)

    def _widened(self, lower: Tensor, upper: Tensor, error: Tensor) -> Box:
        self.note(error, upper - lower)
        return lower - error, upper + error

    def _outward(self, lower: Tensor, upper: Tensor) -> Box:
        """A box in the type that bounds are computed in. It contains the box in float64."""
        dtype = self.x.dtype
        if dtype == torch.float64:
            return lower, upper
        u, least = 2 * unit(dtype), tiny(dtype)
        low, high = lower.to(dtype), upper.to(dtype)
        return torch.sub(low, low.abs(), alpha=u) - least, torch.add(high, high.abs(), alpha=u) + least

    def around(self, node: Node) -> Box:
        """The box of a node's value minus its reference, two of (B, *shape)."""
        if self.about is None:
            return self.box(node)
        if node is self.network.entry:
            return self.room
        if node in self.network.affine_nodes:
            low, high = self.about.box(node)
            self._heard(self.about.wide.noise)
        else:
            low, high = self.box(node)
        known = self._around.get(node)
        if known is not None and known[0][0] is low and known[0][1] is high:
            return known[1]
        center = self.about.value(node)
        size, u = center.abs() + torch.maximum(low.abs(), high.abs()), 4 * unit(torch.float64)
        found = self._outward(torch.sub(low - center, size, alpha=u), torch.add(high - center, size, alpha=u))
        self._around[node] = (low, high), found
        return found

    def note(self, error: Tensor, width: Tensor) -> None:
        """Records bounds of this width (B, ...) that a rounding error has widened on either side."""
        wide = total(error.detach().expand_as(width))
        self._heard((wide / (wide + total(width.detach()))).nan_to_num(nan=1.0))

    def _heard(self, share: Tensor | None) -> None:
        if share is not None:
            self.noise = (share if self.noise is None else torch.maximum(self.noise, share)).to(self.x.dtype)

    def constant(self, node: Node) -> Tensor | None:
        """The constant term of a node's value as an affine function of earlier values, (1, *shape); None for 0.

        It excludes the constants that passes add at an earlier node of ``paying_nodes``.
        """
        if node.bends or self.about is not None or self.network.place[node] <= self.network.place[self.end]:
            return None
        if node not in self.constants:
            self.constants[node] = self._evaluated(node)
        return self.constants[node]

    def _evaluated(self, node: Node) -> Tensor:
        given = [self.handed(source) for source in node.sources]
        zeros = [
            self.x.new_zeros(1, *source.stored) if value is None else value
            for source, value in zip(node.sources, given, strict=True)
        ]
        return node.value(*zeros)

    def handed(self, node: Node) -> Tensor | None:
        """The constant passed to the node's successors, (1, *shape); None for 0, and at ``Network.paying_nodes``."""
        return None if node in self.network.paying_nodes else self.constant(node)

    @property
    def plain(self) -> "ValueBounds":
        """These bounds without rounding errors."""
        rest = self.constants, None, self.about, self.limit
        return ValueBounds(self.network, self.x, self.threat, None, dict(self.boxes), *rest)

    @property
    def unbounded(self) -> "ValueBounds":
        """These bounds without boxes."""
        rest = self.constants, None, self.about, self.limit
        return ValueBounds(self.network, self.x, self.threat, self.rounding, {}, *rest)

    def select(self, index: Tensor) -> "ValueBounds":
        """The bounds for the chosen examples."""
        boxes = {node: (picked(box[0], index), picked(box[1], index)) for node, box in self.boxes.items()}
        noise = None if self.noise is None else picked(self.noise, index)
        about = None if self.about is None else self.about.select(index)
        given = self.threat.select(index), self.rounding, boxes, self.constants, noise, about, self.limit, self.passing
        return ValueBounds(self.network, picked(self.x, index), *given)
