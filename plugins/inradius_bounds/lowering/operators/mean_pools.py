"""Means over windows of images."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from inradius_bounds.lowering.builder import Builder
from inradius_bounds.lowering.node import Node, stored
from inradius_bounds.steps.sums import Means, SumRule


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


def avg_pool3d(
    build: Builder, value: Node, size: Any, stride: Any = (), padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor: int | None = None,
) -> Node:  # fmt: skip
    """Means over windows of volumes."""
    if divisor is not None and divisor < 0:
        raise build.refuse(f"avg_pool3d with divisor_override={divisor}, which no layer rule covers; allowed is > 0")
    sizes, steps, pads = ([int(n) for n in (given if len(given) == 3 else given * 3)] for given in (
        list(size), list(stride or size), list(padding) if padding else [0]
    ))  # fmt: skip
    setting = [sizes, steps, pads, ceil_mode, count_include_pad, divisor]
    aten = torch.ops.aten
    return _means(
        build,
        value,
        lambda z: aten.avg_pool3d(z, *setting),
        lambda rows, like: aten.avg_pool3d_backward(rows, like, *setting),
        sizes[0] * sizes[1] * sizes[2],
        axes=4,
    )


def adaptive_avg_pool2d(build: Builder, value: Node, size: Any) -> Node:
    """Means over windows that cover the image."""
    aten = torch.ops.aten
    terms = value.shape[-1] * value.shape[-2]
    return _means(build, value, lambda z: aten._adaptive_avg_pool2d(z, size), aten._adaptive_avg_pool2d_backward, terms)


def _means(
    build: Builder,
    value: Node,
    call: Callable[[Tensor], Tensor],
    back: Callable[[Tensor, Tensor], Tensor],
    terms: int,
    axes: int = 3,
) -> Node:
    """Means over windows of images with so many axes, that of channels among them."""
    found = call(torch.zeros(1, *value.shape[-axes:], dtype=build.constants.dtype, device=build.device))
    shape = torch.Size([*value.shape[:-axes], *found.shape[1:]])
    return build.step(value, Means(call, back, value.shape, stored(shape), terms, axes), SumRule(), shape)


MEAN_POOLS: dict[str, Callable[..., Any]] = {
    "avg_pool2d": avg_pool2d,
    "avg_pool3d": avg_pool3d,
    "_adaptive_avg_pool2d": adaptive_avg_pool2d,
}
