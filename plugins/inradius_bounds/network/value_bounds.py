"""Bounds of the values of a network over Δ(x), node by node."""

from functools import cached_property

import attrs
import torch
from torch import Tensor

from inradius import Oracles
from inradius_bounds.box import Box
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.magnitudes import total
from inradius_bounds.network.network import Network
from inradius_bounds.network.reference import Reference
from inradius_bounds.network.rounding_errors import RoundingErrors
from inradius_bounds.rounding import Rounding, tiny, unit


def _fastest(side: Tensor) -> Tensor:
    """Images with channels last, as convolutions are fastest so; any other value as it is."""
    return side.contiguous(memory_format=torch.channels_last) if side.ndim == 4 else side


@attrs.define(eq=False, slots=False)
class ValueBounds:
    """What is known of the values for a batch x (B, *S): boxes, constants, and what rounding may do.

    rounding: how bounds are computed; None where they are trained on, and rounding is not looked at. about: what values are
    counted from in backward passes, or None for 0. limit: how many numbers rows may have at once, or None.
    """

    network: Network
    x: Tensor
    threat: Oracles
    rounding: Rounding | None
    boxes: dict[Node, Box] = attrs.field(factory=dict)
    constants: dict[Node, Tensor] = attrs.field(factory=dict)
    # the largest share that rounding has in the width of any bounds, (B,)
    noise: Tensor | None = None
    about: Reference | None = None
    limit: int | None = None
    errors: RoundingErrors | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.errors = None if self.rounding is None else RoundingErrors.of(self.network, self, self.rounding)

    def known(self, node: Node) -> Box | None:
        """The box of a node, two of (B, *shape), where it was computed; that of the input always is."""
        if node is self.network.entry and node not in self.boxes:
            self.boxes[node] = self._hull()
        return self.boxes.get(node)

    def box(self, node: Node) -> Box:
        """The box of a node whose sources have boxes."""
        found = self.known(node)
        if found is None:
            found = self._computed(node)
            # gradients of weights are no faster for it
            found = found if self.rounding is None else (_fastest(found[0]), _fastest(found[1]))
            self.boxes[node] = found
        return found

    @cached_property
    def boxed(self) -> bool:
        """Whether each Δ(x) is a box of finite size around 0."""
        if not self.threat.is_box:
            return False
        low, high = self.room
        return bool((low.isfinite() & high.isfinite() & (low <= 0) & (high >= 0)).all())

    @cached_property
    def end(self) -> Node:
        """The node at which backward passes end: the input, or for boxes the last node that only scales it."""
        front, entry = self.network.front, self.network.entry
        return front if front is not entry and self.boxed else entry

    @cached_property
    def sides(self) -> Box | None:
        """Middle and half width of the box of ``end``, counted as values are, the width rounded up; None for other sets."""
        if not self.boxed:
            return None
        low, high = self.around(self.end)
        middle = (low + high) / 2
        half = torch.maximum(high - middle, middle - low)
        if self.rounding is not None:
            # halves may be rounded, and lost to underflow
            half = half * (1 + 4 * unit(half.dtype)) + 2 * tiny(half.dtype)
        return middle, half if self.about is None else torch.maximum(half, middle.abs())

    @cached_property
    def room(self) -> Box:
        """The least and the largest δ of each coordinate over Δ(x), two of (B, *S), with inputs that an execution takes for 0."""
        if self.rounding is None and self.threat.is_box:
            # without a look at rounding the corners as they are
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
        # inputs, distances and sums may be lost to underflow
        u, least = 2 * unit(lower.dtype), 2 * tiny(lower.dtype)
        return lower - u * lower.abs() - least, upper + u * upper.abs() + least

    def _computed(self, node: Node) -> Box:
        if node in self.network.straight and node in self.network.curve_inputs:
            if self.about is not None:
                found = self._outward(*self.about.box(node))
                self._heard(self.about.wide.noise)
                return found
            lower, upper = self._affine(node)
            return (lower, upper) if self.errors is None else self._widened(lower, upper, self.errors.boxes.whole(node))
        lower, upper = node.interval(*(self.box(source) for source in node.sources))
        if self.errors is None:
            return lower, upper
        if not node.curved:
            return self._widened(lower, upper, self.errors.boxes.widening(node))
        # the rule rounds outwards
        run = self.errors.executions.curve(node, torch.maximum(lower.abs(), upper.abs()))
        return (lower, upper) if run is None else self._widened(lower, upper, run)

    def _affine(self, node: Node) -> Box:
        """The box of an affine function of the input as the set gives it."""
        block = self.network.block(node)
        if self.rounding is None and self.threat.is_box and block.exact_interval:
            low, high = self.room
            return block.interval(self.x + low, self.x + high)
        return self.threat.bound_affine(block, self.x)

    def _widened(self, lower: Tensor, upper: Tensor, error: Tensor) -> Box:
        self.note(error, upper - lower)
        return lower - error, upper + error

    def _outward(self, lower: Tensor, upper: Tensor) -> Box:
        """A box in the type that bounds are computed in, no smaller than it is in float64."""
        dtype = self.x.dtype
        if dtype == torch.float64:
            return lower, upper
        u, least = 2 * unit(dtype), tiny(dtype)
        low, high = lower.to(dtype), upper.to(dtype)
        return low - u * low.abs() - least, high + u * high.abs() + least

    def around(self, node: Node) -> Box:
        """The box of a node, counted from its reference."""
        if self.about is None:
            return self.box(node)
        if node is self.network.entry:
            return self.room
        if node in self.network.straight:
            low, high = self.about.box(node)
            self._heard(self.about.wide.noise)
        else:
            low, high = self.box(node)
        center = self.about.value(node)
        size = 4 * unit(torch.float64) * (center.abs() + torch.maximum(low.abs(), high.abs()))
        return self._outward(low - center - size, high - center + size)

    def note(self, error: Tensor, width: Tensor) -> None:
        """Takes note of bounds of this width (B, ...) that rounding has widened by an error on either side."""
        wide = total(error.detach().expand_as(width))
        self._heard((wide / (wide + total(width.detach()))).nan_to_num(nan=1.0))

    def _heard(self, share: Tensor | None) -> None:
        if share is not None:
            share = share.to(self.x.dtype)
            self.noise = share if self.noise is None else torch.maximum(self.noise, share)

    def constant(self, node: Node) -> Tensor | None:
        """The part of a node's value that no source of it has, (1, *shape), from where rows last met it; None for 0."""
        if node.curved or self.about is not None or self.network.place[node] <= self.network.place[self.end]:
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
        """The constant that a node hands on to those that are made of it."""
        return None if node in self.network.due else self.constant(node)

    @property
    def plain(self) -> "ValueBounds":
        """The same without a look at rounding."""
        boxes, constants = dict(self.boxes), self.constants
        return ValueBounds(
            self.network, self.x, self.threat, None, boxes, constants, about=self.about, limit=self.limit
        )

    @property
    def unbounded(self) -> "ValueBounds":
        """The same without boxes."""
        x, constants = self.x, self.constants
        return ValueBounds(
            self.network, x, self.threat, self.rounding, {}, constants, about=self.about, limit=self.limit
        )

    def select(self, index: Tensor) -> "ValueBounds":
        """The same for a part of the examples."""
        boxes = {node: (box[0][index], box[1][index]) for node, box in self.boxes.items()}
        noise = None if self.noise is None else self.noise[index]
        threat = self.threat.select(index)
        about = None if self.about is None else self.about.select(index)
        x, limit = self.x[index], self.limit
        return ValueBounds(self.network, x, threat, self.rounding, boxes, self.constants, noise, about, limit)
