"""Largest numbers over windows of images, of one to three axes."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from inradius_bounds.lowering.builder import Builder
from inradius_bounds.lowering.node import Node
from inradius_bounds.lowering.operators.curves import maximum
from inradius_bounds.lowering.operators.extremes import over

# the most numbers of a window whose largest may be one node; planes of more numbers are loose
_NUMBERS = 9
# the places along one axis that each window has
Windows = list[list[int]]


def _max_pool(axes: int) -> Callable[..., list[Any]]:
    def rewrite(
        build: Builder, value: Node, size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> list[Any]:  # fmt: skip
        """The largest number of each window, by pairs; the places of the largest have no bounds."""
        sizes, steps, pads, gaps = (_each(given, axes) for given in (size, stride or size, padding, dilation))
        if _side_by_side(value, sizes, steps, pads, gaps):
            if build.maxima:
                return [build.window_maximum(value, (sizes[0], sizes[1])), None]
            build.paired = True
        lines = [
            _windows(value.shape[axis - axes], sizes[axis], steps[axis], pads[axis], gaps[axis], ceil_mode)
            for axis in range(axes)
        ]
        if any(not window for line in lines for window in line):
            raise build.refuse("a maximum over windows of the padding alone, which no layer rule covers")
        return [_largest(build, value, lines), None]

    return rewrite


def _side_by_side(value: Node, sizes: list[int], steps: list[int], pads: list[int], gaps: list[int]) -> bool:
    """True for few numbers a window, where windows cover images without gaps and do not overlap."""
    if len(sizes) != 2 or len(value.shape) != 4 or value.shape[0] != 1 or value.hidden is not None:
        return False
    whole = all(length % size == 0 for length, size in zip(value.shape[2:], sizes, strict=True))
    return whole and sizes == steps and not any(pads) and gaps == [1, 1] and 1 < math.prod(sizes) <= _NUMBERS


def _adaptive_max_pool(axes: int) -> Callable[..., list[Any]]:
    def rewrite(build: Builder, value: Node, size: Any) -> list[Any]:
        """The largest number of each of so many windows that cover the image; the places have no bounds."""
        lines = []
        for axis, count in enumerate(_each(size, axes)):
            length = value.shape[axis - axes]
            lines.append([list(range(w * length // count, -(-(w + 1) * length // count))) for w in range(count)])
        return [_largest(build, value, lines), None]

    return rewrite


def _windows(length: int, size: int, step: int, pad: int, gap: int, ceil_mode: bool) -> Windows:
    """The places within an axis that each window has."""
    spare = length + 2 * pad - gap * (size - 1) - 1
    count = (-(-spare // step) if ceil_mode else spare // step) + 1
    if ceil_mode and (count - 1) * step >= length + pad:
        # the last window would begin behind the image
        count -= 1
    starts = [window * step - pad for window in range(count)]
    return [[place for place in range(s, s + gap * size, gap) if 0 <= place < length] for s in starts]


def _largest(build: Builder, value: Node, lines: Sequence[Windows]) -> Node:
    """The largest number of each window, one axis after the other: windows that lie side by side share what they have in common.

    Windows with fewer places have their first one several times.
    """
    for axis, windows in enumerate(lines):
        # places that no window has are left out before anything is compared
        used = sorted({place for window in windows for place in window})
        if len(used) < value.shape[axis - len(lines)]:
            value = build.move(value, _picked(axis - len(lines), used))
        lines = [*lines[:axis], [[used.index(place) for place in window] for window in windows], *lines[axis + 1 :]]
    for axis, windows in enumerate(lines):
        most = max(map(len, windows))
        full = [window + [window[0]] * (most - len(window)) for window in windows]
        images = [build.move(value, _picked(axis - len(lines), places)) for places in zip(*full, strict=True)]
        value = over(build, images, maximum)
    return value


def _picked(axis: int, chosen: Sequence[int]) -> Callable[[Tensor], Tensor]:
    """The numbers at chosen places along an axis."""
    return lambda places: places.index_select(axis, torch.tensor(chosen, device=places.device))


def _each(given: Any, axes: int) -> list[int]:
    """A number for each axis, where one may be given for all."""
    several = [given] if isinstance(given, int) else list(given)
    return [int(number) for number in (several * axes if len(several) == 1 else several)]


MAX_POOLS: dict[str, Callable[..., Any]] = {
    "max_pool2d_with_indices": _max_pool(2),
    "max_pool3d_with_indices": _max_pool(3),
    "max_pool2d": lambda build, *args: _max_pool(2)(build, *args)[0],
    "adaptive_max_pool2d": _adaptive_max_pool(2),
    "adaptive_max_pool3d": _adaptive_max_pool(3),
}
