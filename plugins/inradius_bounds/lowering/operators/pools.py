"""Pooling over windows of images."""

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from inradius_bounds.lowering.builder import Builder
from inradius_bounds.lowering.node import Node, stored
from inradius_bounds.lowering.operators.curves import maximum
from inradius_bounds.steps.sums import Means, SumRule


def max_pool2d(
    build: Builder, value: Node, size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
) -> list[Any]:  # fmt: skip
    """The largest number of each window, by maxima of pairs. The places of the largest numbers are not given."""
    if ceil_mode:
        raise build.refuse("max_pool2d with ceil_mode, which no layer rule covers; allowed is ceil_mode=False")
    sizes, steps, pads, gaps = _pair(size), _pair(stride or size), _pair(padding), _pair(dilation)
    height, width = value.shape[-2:]
    rows, columns = (_places(length, sizes[a], steps[a], pads[a], gaps[a]) for a, length in enumerate((height, width)))
    if any(place < 0 for line in (*rows, *columns) for place in line):
        raise build.refuse("max_pool2d with windows over the padding alone, which no layer rule covers")
    images = [
        build.move(value, _picked(torch.tensor(row), torch.tensor(column)))
        for row, column in itertools.product(rows, columns)
    ]
    while len(images) > 1:
        pairs = [maximum(build, *images[place : place + 2]) for place in range(0, len(images) - 1, 2)]
        images = pairs + images[2 * len(pairs) :]
    return [images[0], None]


def _picked(row: Tensor, column: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda places: places[..., row.to(places.device), :][..., column.to(places.device)]


def _places(length: int, size: int, step: int, pad: int, gap: int) -> list[list[int]]:
    """For each place in a window, its position in each window along an axis.

    Over the padding it is a place of the same window, or -1 where the window has none.
    """
    windows = range((length + 2 * pad - gap * (size - 1) - 1) // step + 1)
    lists = [[w * step - pad + k * gap for k in range(size)] for w in windows]
    inside = [[place for place in window if 0 <= place < length] for window in lists]
    return [
        [window[k] if 0 <= window[k] < length else (*valid, -1)[0] for window, valid in zip(lists, inside, strict=True)]
        for k in range(size)
    ]


def _pair(given: Any) -> tuple[int, int]:
    pair = (given, given) if isinstance(given, int) else tuple(given)
    return int(pair[0]), int(pair[-1])


def avg_pool2d(
    build: Builder, value: Node, size: Any, stride: Any = (), padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor: int | None = None,
) -> Node:  # fmt: skip
    """Means over windows."""
    setting = [
        list(_pair(size)),
        list(_pair(stride or size)),
        list(_pair(padding)),
        ceil_mode,
        count_include_pad,
        divisor,
    ]
    if divisor is not None and divisor < 0:
        raise build.refuse(f"avg_pool2d with divisor_override={divisor}, which no layer rule covers; allowed is > 0")
    aten = torch.ops.aten
    terms = _pair(size)[0] * _pair(size)[1]
    return _means(
        build,
        value,
        lambda z: aten.avg_pool2d(z, *setting),
        lambda rows, like: aten.avg_pool2d_backward(rows, like, *setting),
        terms,
    )


def adaptive_avg_pool2d(build: Builder, value: Node, size: Any) -> Node:
    """Means over windows that cover the image."""
    aten = torch.ops.aten
    terms = value.shape[-1] * value.shape[-2]
    return _means(build, value, lambda z: aten._adaptive_avg_pool2d(z, size), aten._adaptive_avg_pool2d_backward, terms)


def _means(
    build: Builder, value: Node, call: Callable[[Tensor], Tensor], back: Callable[[Tensor, Tensor], Tensor], terms: int
) -> Node:
    found = call(torch.zeros(1, *value.shape[-3:], dtype=build.constants.dtype, device=build.device))
    shape = torch.Size([*value.shape[:-3], *found.shape[1:]])
    return build.step(value, Means(call, back, value.shape, stored(shape), terms), SumRule(), shape)


POOLS: dict[str, Callable[..., Any]] = {
    "max_pool2d_with_indices": max_pool2d,
    "max_pool2d": lambda build, *args: max_pool2d(build, *args)[0],
    "avg_pool2d": avg_pool2d,
    "_adaptive_avg_pool2d": adaptive_avg_pool2d,
}
