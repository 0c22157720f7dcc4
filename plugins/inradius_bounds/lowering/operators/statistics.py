"""Norms, variances, and logarithms of sums of exponentials."""

import math
from collections.abc import Callable
from typing import Any

import torch

from inradius_bounds.lowering.builder import Builder
from inradius_bounds.lowering.node import Node
from inradius_bounds.lowering.operators.arithmetic import multiply, square
from inradius_bounds.lowering.operators.curves import absolute, root
from inradius_bounds.lowering.operators.extremes import EXTREMES
from inradius_bounds.rules.activations.smooth import LogLayer
from inradius_bounds.rules.functions import ExpLayer


def _chosen(value: Node, axes: Any) -> tuple[int, ...]:
    """The axes as numbers from 0; all of them where none is named."""
    count = len(value.shape)
    given = (axes,) if isinstance(axes, int) else tuple(axes or range(count))
    return tuple(sorted({int(axis) % count for axis in given}))


def vector_norm(
    build: Builder, value: Node, order: float = 2.0, axes: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Node:
    """The norm of vectors along some axes, of order 1, 2 or infinity."""
    if dtype is not None:
        raise build.refuse(
            f"linalg_vector_norm in {dtype}, which no layer rule covers; allowed is the type of the value"
        )
    chosen = _chosen(value, axes)
    if order == 2:
        return root(build, build.sum(square(build, value), chosen, keepdim))
    if order == 1:
        return build.sum(absolute(build, value), chosen, keepdim)
    if abs(order) == math.inf:
        found: Node = EXTREMES["amax" if order > 0 else "amin"](build, absolute(build, value), chosen, keepdim)
        return found
    raise build.refuse(f"linalg_vector_norm of order {order}, which no layer rule covers; allowed are 1, 2 and inf")


def variance(build: Builder, value: Node, axes: Any = None, *, correction: Any = None, keepdim: bool = False) -> Node:
    """The mean square of the distance from the mean, Σ (z − mean)² / (n − correction)."""
    chosen = _chosen(value, axes)
    count = torch.Size([value.shape[axis] for axis in chosen]).numel()
    degrees = count - (1 if correction is None else correction)
    if degrees <= 0:
        raise build.refuse(f"var of {count} numbers with correction {correction}, which is no number")
    centered = build.subtract(value, build.sum(value, chosen, True, 1 / count))
    return build.sum(square(build, centered), chosen, keepdim, 1 / degrees)


def deviation(build: Builder, value: Node, axes: Any = None, *, correction: Any = None, keepdim: bool = False) -> Node:
    """The square root of the variance."""
    return root(build, variance(build, value, axes, correction=correction, keepdim=keepdim))


def variance_and_mean(
    build: Builder, value: Node, axes: Any = None, *, correction: Any = None, keepdim: bool = False
) -> list[Node]:
    """The variance, and the mean."""
    chosen = _chosen(value, axes)
    count = torch.Size([value.shape[axis] for axis in chosen]).numel()
    spread = variance(build, value, axes, correction=correction, keepdim=keepdim)
    return [spread, build.sum(value, chosen, keepdim, 1 / count)]


def log_softmax(build: Builder, value: Node, axis: int, _: Any = False) -> Node:
    """−log Σ_j exp(z_j − z_i), whose sum is at least 1."""
    axis = axis % len(value.shape)
    # entry (i, j) is z_j − z_i; the sum runs over j
    behind = build.move(value, lambda places: places.unsqueeze(axis))
    ahead = build.move(value, lambda places: places.unsqueeze(axis + 1))
    total = build.sum(build.curve(build.subtract(behind, ahead), ExpLayer()), (axis + 1,), keepdim=False)
    return build.scale(build.curve(total, LogLayer(1.0)), -1.0)


def log_sum_exp(build: Builder, value: Node, axes: Any, keepdim: bool = False) -> Node:
    """m + log Σ exp(z − m) along some axes, where m is the first number along them."""
    chosen = _chosen(value, axes)

    def first(places: torch.Tensor) -> torch.Tensor:
        for axis in chosen:
            places = places.narrow(axis, 0, 1)
        return places

    start = build.move(value, first)
    total = build.sum(build.curve(build.subtract(value, start), ExpLayer()), chosen, True)
    found = build.add(start, build.curve(total, LogLayer(1.0)))
    if keepdim:
        return found
    return build.reshape(found, torch.Size([n for axis, n in enumerate(value.shape) if axis not in chosen]))


def product(build: Builder, value: Node, axis: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Node:
    """The product of the numbers along an axis, or of all, by pairs."""
    if dtype is not None:
        raise build.refuse(f"prod in {dtype}, which no layer rule covers; allowed is the type of the value")
    chosen = _chosen(value, axis)
    if len(chosen) > 1:
        flat = build.reshape(value, torch.Size([value.shape.numel()]))
        return build.reshape(product(build, flat, 0), torch.Size([]))
    place = chosen[0]
    rest = [build.move(value, _at(place, number, keepdim)) for number in range(value.shape[place])]
    while len(rest) > 1:
        pairs = [multiply(build, rest[each], rest[each + 1]) for each in range(0, len(rest) - 1, 2)]
        rest = pairs + rest[2 * len(pairs) :]
    return rest[0]


def _at(axis: int, number: int, keepdim: bool) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda places: places.narrow(axis, number, 1) if keepdim else places.select(axis, number)


STATISTICS: dict[str, Callable[..., Any]] = {
    "linalg_vector_norm": vector_norm,
    "var": variance,
    "std": deviation,
    "var_mean": variance_and_mean,
    "_log_softmax": log_softmax,
    "log_softmax": log_softmax,
    "logsumexp": log_sum_exp,
    "prod": product,
}
