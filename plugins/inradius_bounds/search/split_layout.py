"""The numbers at which domains are split: the inputs of curves that are not lines, side by side in one vector."""

from collections.abc import Mapping
from functools import cached_property
from typing import cast

import attrs
import torch
from torch import Tensor

from inradius_bounds.box import Box
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.network import Network
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rules.activations.relu import ReLURule


@attrs.frozen(eq=False, slots=False)
class SplitLayout:
    """The places of N numbers, which are inputs of a network's curves, in vectors.

    places: the flat places of each curve's own numbers, (n,) each. At its other numbers a curve is a line wherever it is asked.
    """

    network: Network
    places: Mapping[Node, Tensor]

    @classmethod
    def of(cls, values: ValueBounds) -> "SplitLayout":
        """The numbers at which some curve is not a line over some of the sets that the bounds are about."""
        places = {}
        for curve in values.network.curves:
            op = curve.required_operator
            undecided = op.rule.undecided(op, *values.box(curve.sources[0]))
            places[curve] = undecided.flatten(1).any(0).nonzero()[:, 0]
        return cls(values.network, places)

    def on(self, network: Network) -> "SplitLayout":
        """The same places in a network with the same nodes."""
        return SplitLayout(network, dict(zip(network.curves, self.places.values(), strict=True)))

    @cached_property
    def spans(self) -> dict[Node, slice]:
        """The part of the vector that belongs to each curve."""
        found, start = {}, 0
        for curve, places in self.places.items():
            found[curve] = slice(start, start + len(places))
            start += len(places)
        return found

    @cached_property
    def size(self) -> int:
        """N, the count of numbers."""
        return sum(len(places) for places in self.places.values())

    def picked(self, curve: Node, values: Tensor) -> Tensor:
        """A curve's own numbers among all, (D, *shape) -> (D, n)."""
        return values.flatten(1)[:, self.places[curve]]

    def spread(self, curve: Node, flat: Tensor, others: Tensor | float = 0.0) -> Tensor:
        """All numbers of a curve, from vectors with its own ones (D, N), and others (D or 1, *shape) -> (D, *shape)."""
        size, own = curve.stored.numel(), flat[:, self.spans[curve]]
        base = others.flatten(1).to(flat) if isinstance(others, Tensor) else flat.new_full((1, size), others)
        return base.expand(len(flat), size).index_copy(1, self.places[curve], own).view(len(flat), *curve.stored)

    def joined(self, parts: Mapping[Node, Tensor], like: Tensor) -> Tensor:
        """The own numbers of all curves side by side, (D, *shape) each -> (D, N); like (D, ...) where there are no curves."""
        if not parts:
            return like.new_zeros(len(like), 0)
        return torch.cat([self.picked(curve, parts[curve]) for curve in self.places], dim=1)

    def limits(self, values: ValueBounds) -> Box:
        """The boxes of these numbers, two of (D, N)."""
        boxes = {curve: values.box(curve.sources[0]) for curve in self.places}
        low, high = (self.joined({curve: box[side] for curve, box in boxes.items()}, values.x) for side in (0, 1))
        # a limit that is not a number says nothing
        infinite = torch.inf
        return (
            low.nan_to_num(nan=-infinite, posinf=infinite, neginf=-infinite),
            high.nan_to_num(nan=infinite, posinf=infinite, neginf=-infinite),
        )

    def boxes(self, values: ValueBounds, low: Tensor, high: Tensor) -> dict[Node, Box]:
        """The boxes of the curves' inputs over domains, two of (D, *shape) each: their limits (D, N), and else those of ``values``.

        ``values`` are the bounds over the sets that the domains are parts of, D of them.
        """
        found: dict[Node, Box] = {}
        for curve in self.places:
            source = curve.sources[0]
            before = values.box(source)
            box = self.spread(curve, low, before[0]), self.spread(curve, high, before[1])
            if source in found:
                box = torch.maximum(box[0], found[source][0]), torch.minimum(box[1], found[source][1])
            found[source] = box
        return found

    def undecided(self, low: Tensor, high: Tensor) -> Tensor:
        """True for the numbers whose curve is not a line between the limits, (D, N)."""
        found = [torch.zeros_like(low[:, :0], dtype=torch.bool)]
        for curve in self.places:
            op = curve.required_operator
            found.append(self.own(curve, op.rule.undecided(op, self.shaped(curve, low), self.shaped(curve, high))))
        return torch.cat(found, dim=1).bool()

    def outputs(self, inputs: Tensor) -> Tensor:
        """The curves' values at their inputs, (D, N) -> (D, N)."""
        found = [inputs[:, :0]]
        for curve in self.places:
            op, at = curve.required_operator, self.shaped(curve, inputs)
            found.append(self.own(curve, op.rule.interval(op, at, at)[0]))
        return torch.cat(found, dim=1)

    def shaped(self, curve: Node, flat: Tensor) -> Tensor:
        """A curve's own numbers in a shape that its rule takes, (D, N) -> (D, n) or, where places matter, (D, *shape)."""
        return flat[:, self.spans[curve]] if _placeless(curve) else self.spread(curve, flat)

    def own(self, curve: Node, found: Tensor) -> Tensor:
        """The own numbers of what a rule has found for ``shaped`` numbers, (D, n)."""
        return found if _placeless(curve) else self.picked(curve, found)


def _placeless(curve: Node) -> bool:
    """True where the rule of a curve treats numbers alike wherever they stand; a stranger's rule may not."""
    return type(cast("object", curve.required_operator.rule)) is ReLURule
