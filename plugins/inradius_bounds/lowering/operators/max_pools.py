"""Largest numbers over windows of images, of one to three axes."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from inradius_bounds.lowering.builder import Builder
from inradius_bounds.lowering.node import Node
from inradius_bounds.lowering.operators.curves import maximum
from inradius_bounds.lowering.operators.extremes import over

# the places along one axis that each window has
Windows = list[list[int]]


def _max_pool(axes: int) -> Callable[..., list[Any]]:
    def rewrite(
        build: Builder, value: Node, size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> list[Any]:  # fmt: skip
        """The largest number of each window, by pairs; the places of the largest have no bounds."""
        sizes, steps, pads, gaps = (_each(given, axes) for given in (size, stride or size, padding, dilation))
        lines = [
            _windows(value.shape[axis - axes], sizes[axis], steps[axis], pads[axis], gaps[axis], ceil_mode)
            for axis in range(axes)
        ]
        if any(not window for line in lines for window in line):
            raise build.refuse("a maximum over windows of the padding alone, which no layer rule covers")
        return [_largest(build, value, lines), None]

    return rewrite


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
    """The largest number of each window; windows with fewer places have their first one several times."""
    chosen = []
    for windows in lines:
        most = max(map(len, windows))
        full = [window + [window[0]] * (most - len(window)) for window in windows]
        chosen.append([torch.tensor(places) for places in zip(*full, strict=True)])
    images = [build.move(value, _picked(places)) for places in itertools.product(*chosen)]
    return over(build, images, maximum)


def _picked(lines: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
    """The numbers at chosen places along each of the last axes."""

    def take(places: Tensor) -> Tensor:
        for axis, line in enumerate(lines):
            places = places.index_select(places.ndim - len(lines) + axis, line.to(places.device))
        return places

    return take


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
