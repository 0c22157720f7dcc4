"""Largest and smallest numbers along axes and over windows."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from inradius_bounds.lowering.builder import Builder, Part
from inradius_bounds.lowering.node import Node
from inradius_bounds.lowering.operators.curves import maximum, minimum

Pair = Callable[[Builder, Part, Part], Node]


def over(build: Builder, parts: Sequence[Node], pair: Pair) -> Node:
    """The largest (or smallest) of several values, number by number, by pairs of pairs.

    The box of the result is exact over the boxes of the parts: see ``Node.largest_of``.
    """
    rest = list(parts)
    while len(rest) > 1:
        pairs = [pair(build, rest[place], rest[place + 1]) for place in range(0, len(rest) - 1, 2)]
        rest = pairs + rest[2 * len(pairs) :]
    return rest[0]


def _along(pair: Pair) -> Callable[..., Node]:
    def rewrite(build: Builder, value: Node, axes: Any = (), keepdim: bool = False) -> Node:
        """The largest (or smallest) number along some axes, or of all."""
        count = len(value.shape)
        given = (axes,) if isinstance(axes, int) else tuple(axes) or tuple(range(count))
        chosen = sorted({int(axis) % count for axis in given})
        parts = [
            build.move(value, _entry(chosen, place))
            for place in itertools.product(*(range(value.shape[axis]) for axis in chosen))
        ]
        found = over(build, parts, pair)
        if keepdim:
            return build.reshape(found, torch.Size([1 if axis in chosen else n for axis, n in enumerate(value.shape)]))
        return found

    return rewrite


def _entry(axes: Sequence[int], place: Sequence[int]) -> Callable[[Tensor], Tensor]:
    """The numbers at one place of some axes, which are dropped."""

    def take(places: Tensor) -> Tensor:
        for axis, number in sorted(zip(axes, place, strict=True), reverse=True):
            places = places.select(axis, number)
        return places

    return take


def _extreme(pair: Pair) -> Callable[..., Any]:
    along = _along(pair)

    def rewrite(build: Builder, value: Node, other: Any = None, keepdim: bool = False) -> Any:
        """``max`` and ``min`` in their three forms: over all numbers, along an axis with places, of two values."""
        if other is None:
            return along(build, value)
        if isinstance(other, int) and not isinstance(other, bool):
            return [along(build, value, other, keepdim), None]
        return pair(build, value, other)

    return rewrite


EXTREMES: dict[str, Callable[..., Any]] = {
    "amax": _along(maximum),
    "amin": _along(minimum),
    "max": _extreme(maximum),
    "min": _extreme(minimum),
}
