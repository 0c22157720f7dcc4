"""Sums and means over axes."""

from collections.abc import Callable
from typing import Any

import torch

from inradius_bounds.lowering.builder import Builder
from inradius_bounds.lowering.node import Node
from inradius_bounds.lowering.operators.curves import cast


def total(
    build: Builder, value: Node, axes: Any = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Node:
    """The sum over some axes, or over all."""
    return build.sum(_in(build, value, dtype), _axes(axes), keepdim)


def mean(
    build: Builder, value: Node, axes: Any = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Node:
    """The mean over some axes, or over all."""
    value = _in(build, value, dtype)
    chosen = _axes(axes) or tuple(range(len(value.shape)))
    count = torch.Size([value.shape[axis] for axis in chosen]).numel()
    return build.sum(value, chosen, keepdim, 1 / count)


def _in(build: Builder, value: Node, dtype: torch.dtype | None) -> Node:
    """The value in the type in which it is summed."""
    return value if dtype is None else cast(build, value, dtype=dtype)


def _axes(given: Any) -> tuple[int, ...]:
    if given is None:
        return ()
    return (int(given),) if isinstance(given, int) else tuple(int(axis) for axis in given)


SUMS: dict[str, Callable[..., Any]] = {"sum": total, "mean": mean}
