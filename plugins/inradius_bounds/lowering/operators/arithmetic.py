"""Sums, differences, products and quotients of values."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from inradius_bounds.lowering.builder import Builder, Part
from inradius_bounds.lowering.least import least_of
from inradius_bounds.lowering.node import Node
from inradius_bounds.rules.functions import ReciprocalLayer, SquareLayer
from inradius_bounds.steps.scale import Intermediates


def add(build: Builder, first: Part, second: Part, *, alpha: float = 1.0) -> Node:
    """first + alpha · second."""
    return build.add(first, second, float(alpha))


def subtract(build: Builder, first: Part, second: Part, *, alpha: float = 1.0) -> Node:
    """first − alpha · second."""
    return build.subtract(first, second, float(alpha))


def subtract_from(build: Builder, first: Part, second: Part, alpha: float = 1.0) -> Node:
    """second − alpha · first."""
    return build.subtract(second, first, float(alpha))


def negative(build: Builder, value: Node) -> Node:
    """−value."""
    return build.scale(value, -1.0)


def multiply(build: Builder, first: Part, second: Part) -> Node:
    """first · second: of two varying values ((a + b)² − (a − b)²) / 4, of a value and itself its square, else a scaling."""
    if not (isinstance(first, Node) and isinstance(second, Node)):
        value, factor = (first, second) if isinstance(first, Node) else (second, first)
        assert isinstance(value, Node)
        assert not isinstance(factor, Node)
        return build.scale(value, factor)
    if first.root is second.root and first.shape == second.shape:
        return square(build, first)
    if build.products:
        return build.bilinear(first, second)
    build.squared = True
    plus, minus = (square(build, build.add(first, second, sign)) for sign in (1.0, -1.0))
    return build.scale(build.subtract(plus, minus), 0.25)


def square(build: Builder, value: Node) -> Node:
    """value²."""
    return build.curve(value, SquareLayer())


def reciprocal(build: Builder, value: Node) -> Node:
    """1 / value."""
    return build.curve(value, ReciprocalLayer(least_of(value, build.constants)))


def divide(build: Builder, first: Part, second: Part, *, rounding_mode: str | None = None) -> Node:
    """first / second = first · (1 / second)."""
    if rounding_mode is not None:
        raise build.refuse(f"div with rounding_mode={rounding_mode!r}, which no layer rule covers")
    if isinstance(second, Node):
        return multiply(build, first, reciprocal(build, second))
    assert isinstance(first, Node)
    # whole numbers have reciprocals in torch's default type
    divisor, least = build.constant(second), torch.finfo(build.constants.native).smallest_normal

    def largest(value: Tensor) -> Tensor:
        # a machine may take a subnormal number for 0, which has no reciprocal
        small = (value != 0) & (value.abs() < least)
        return torch.where(small, torch.inf, (1 / value.double()).abs().clamp(min=1))

    inside = Intermediates(build.constants.made(largest, divisor))
    return build.scale(first, build.constants.made(lambda value: 1 / value.double(), divisor), inside)


ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": add,
    "sub": subtract,
    "rsub": subtract_from,
    "neg": negative,
    "mul": multiply,
    "div": divide,
    "square": square,
    "reciprocal": reciprocal,
}
