"""Operators that stand for several operations at once: interpolations between two values, and sums with products."""

from collections.abc import Callable
from typing import Any

import torch

from inradius_bounds.lowering.builder import Builder, Part
from inradius_bounds.lowering.node import Node
from inradius_bounds.lowering.operators.arithmetic import divide, multiply


def lerp(build: Builder, start: Part, end: Part, weight: Part) -> Node:
    """start + weight · (end − start)."""
    if isinstance(weight, Node) or not (isinstance(start, Node) and isinstance(end, Node)):
        return build.add(start, _product(build, weight, _difference(build, end, start)))
    share = build.constant(weight)
    rest = build.constants.made(lambda given: 1 - given, share)
    return build.add(build.scale(start, rest), build.scale(end, share))


def add_product(build: Builder, summand: Part, first: Part, second: Part, *, value: float = 1.0) -> Node:
    """summand + value · first · second, elementwise."""
    return build.add(summand, _product(build, value, _product(build, first, second)))


def add_quotient(build: Builder, summand: Part, first: Part, second: Part, *, value: float = 1.0) -> Node:
    """summand + value · first / second, elementwise."""
    if isinstance(first, Node) or isinstance(second, Node):
        found: Part = divide(build, first, second)
    else:
        parts = build.constant(first), build.constant(second)
        found = build.constants.made(lambda one, other: one / other, *parts)
    return build.add(summand, _product(build, value, found))


def bilinear(
    build: Builder, first: Part, weight: Part, second: Part,
    first_axes: Any, weight_axes: Any, second_axes: Any, summed: Any, unroll: int = 1,
) -> Node:  # fmt: skip
    """The sum over some axes of a product of three values, each with new axes of length 1; ``nn.Bilinear`` is made of it."""
    parts = [
        _with_axes(build, part, axes)
        for part, axes in ((first, first_axes), (weight, weight_axes), (second, second_axes))
    ]
    found = _product(build, _product(build, parts[0], parts[1]), parts[2])
    assert isinstance(found, Node)
    return build.sum(found, tuple(int(axis) for axis in summed), keepdim=False)


def _with_axes(build: Builder, part: Part, axes: Any) -> Part:
    def widened(value: torch.Tensor) -> torch.Tensor:
        for axis in axes:
            value = value.unsqueeze(axis)
        return value

    return build.move(part, widened) if isinstance(part, Node) else build.constant(part).then(widened)


def _product(build: Builder, first: Part, second: Part) -> Part:
    if isinstance(first, Node) or isinstance(second, Node):
        return multiply(build, first, second)
    return build.constants.made(lambda one, other: one * other, build.constant(first), build.constant(second))


def _difference(build: Builder, first: Part, second: Part) -> Part:
    if isinstance(first, Node) or isinstance(second, Node):
        return build.subtract(first, second)
    return build.constants.made(lambda one, other: one - other, build.constant(first), build.constant(second))


COMBINED: dict[str, Callable[..., Any]] = {
    "lerp": lerp,
    "addcmul": add_product,
    "addcdiv": add_quotient,
    "_trilinear": bilinear,
}
